"""Records made by columns are those made row by row, whatever the table holds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.formats import csv_lines
from trainset.metadata.formats.chunks import TableFormat
from trainset.metadata.formats.table_file import TableFile
from trainset.metadata.records import RECORDS, to_table
from trainset.metadata.shapes import read_table
from trainset.metadata.table_records import read_table_file

Reading = Callable[..., tuple[pa.Table, list[Rejected]]]
NAMES = ("file_name", "label", "caption", "score", "id", "x", "y", "w", "h", "width", "height")
CORNERS = ("file_name", "label", "xmin", "ymin", "xmax", "ymax", "note", "confidence")

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
odd = st.sampled_from(
    ["", " ", "0", "-0.0", "1e3", "1_0", " 5 ", "nan", "inf", "a.jpg", '"', "\\", "\n", "\x7f", "é"]
)
numbers = st.one_of(
    st.floats(-500, 500).map(repr), st.integers(-9, 10**20).map(str), st.sampled_from(["2.50", "7"])
)
cells = st.one_of(texts, odd, numbers)


def _by_rows(
    data: bytes, format_: TableFormat, column: str | None
) -> tuple[pa.Table, list[Rejected]]:
    items = list(read_table(data, format_, stream="s", place="p", media_column=column))
    rows = [item for item in items if not isinstance(item, Rejected)]
    faults = [item for item in items if isinstance(item, Rejected)]
    return to_table(rows, source="labels", stream="s"), faults


def _by_columns(
    data: bytes, format_: TableFormat, column: str | None
) -> tuple[pa.Table, list[Rejected]]:
    table = TableFile(data, format_, stream="s", place="p")
    parts = list(read_table_file(table, source="labels", media_column=column))
    records = pa.concat_tables([RECORDS.empty_table(), *(part.records for part in parts)])
    return records, [item for part in parts for item in part.rejected]


def _or_error(read: Reading, *said: Any) -> tuple[pa.Table, list[Rejected]] | str:
    try:
        return read(*said)
    except InputError as err:
        return str(err)


def _same(data: bytes, format_: TableFormat, column: str | None = None) -> int:
    """Compares both ways; returns the number of records."""
    by_rows, by_columns = (
        _or_error(read, data, format_, column) for read in (_by_rows, _by_columns)
    )
    if isinstance(by_rows, str) or isinstance(by_columns, str):
        assert by_columns == by_rows
        return 0
    (rows, faults), (found, found_faults) = by_rows, by_columns
    assert found.schema.equals(RECORDS)
    assert found.to_pylist() == rows.to_pylist()
    by_place = [sorted(some, key=lambda f: (f.record, f.kind)) for some in (found_faults, faults)]
    assert by_place[0] == by_place[1]
    return len(rows)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([NAMES, CORNERS]),
    st.data(),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(",;\t|"),
    st.booleans(),
)
def test_csv_gives_the_same_by_columns_and_by_rows(
    names: tuple[str, ...], data: st.DataObject, end: str, delimiter: str, quoted: bool
) -> None:
    header = data.draw(st.permutations(names))
    rows = data.draw(st.lists(st.lists(cells, min_size=len(names), max_size=len(names))))
    out = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([header, *rows])
    _same(out.getvalue().encode(), "csv", data.draw(st.sampled_from([None, "file_name"])))


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            [
                b"a,b",
                b"x.jpg",
                b'"',
                b'""',
                b",",
                b"\n",
                b"\r\n",
                b"\r",
                b"\xe4",
                b"\0",
                b" ",
                b"\xef\xbb\xbf",
                b"1",
            ]
        )
    )
)
@example([b'"', b"\n", b"a,b", b"\n"])
def test_a_mangled_csv_gives_the_same_by_columns_and_by_rows(pieces: list[bytes]) -> None:
    _same(b"file_name,label\n" + b"".join(pieces), "csv", "file_name")


def test_records_that_cross_the_ends_of_blocks_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    body = "".join(
        f'{i}.jpg,"two\nlines {i}"\n' if i % 7 == 0 else f"{i}.jpg,{i}\n" for i in range(300)
    )
    data = ("file_name,caption\n" + body + 'bad,"open\n' + "last.jpg,x").encode()
    whole, faults = _by_columns(data, "csv", None)
    assert (len(whole), [fault.original for fault in faults]) == (301, ['bad,"open'])
    for size in (1, 13, 100):
        monkeypatch.setattr(csv_lines, "BLOCK_BYTES", size)
        again, found = _by_columns(data, "csv", None)
        assert again.equals(whole)
        assert found == faults


_floats = st.one_of(st.floats(), st.sampled_from([1.0, 0.1, 1e300, 5e-324, 1e16, 123456789.5]))
_columns = st.one_of(
    st.tuples(st.just(pa.string()), st.just(st.none() | cells)),
    st.tuples(st.just(pa.large_string()), st.just(st.none() | texts)),
    st.tuples(st.just(pa.dictionary(pa.int8(), pa.string())), st.just(st.sampled_from("ab"))),
    st.tuples(st.just(pa.int64()), st.just(st.none() | st.integers(-(2**63), 2**63 - 1))),
    st.tuples(st.just(pa.uint64()), st.just(st.none() | st.integers(0, 2**64 - 1))),
    st.tuples(st.just(pa.float64()), st.just(st.none() | _floats)),
    st.tuples(st.just(pa.float32()), st.just(st.none() | st.floats(width=32))),
    st.tuples(st.just(pa.bool_()), st.just(st.none() | st.booleans())),
    st.tuples(st.just(pa.null()), st.just(st.none())),
    st.tuples(st.just(pa.date32()), st.just(st.none() | st.dates())),
    st.tuples(st.just(pa.binary()), st.just(st.none() | st.binary(max_size=4))),
    st.tuples(st.just(pa.list_(pa.int8())), st.just(st.none() | st.lists(st.integers(0, 9)))),
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([NAMES, CORNERS]), st.data())
def test_parquet_gives_the_same_by_columns_and_by_rows(
    names: tuple[str, ...], data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, 8))
    columns = {}
    for name in data.draw(st.lists(st.sampled_from(names), unique=True, min_size=1)):
        kind, values = data.draw(_columns)
        some = data.draw(st.lists(values, min_size=length, max_size=length))
        columns[name] = pa.array(some, kind)
    body = io.BytesIO()
    pq.write_table(pa.table(columns), body)
    _same(body.getvalue(), "parquet")


def test_text_in_parquet_that_is_not_utf8_is_set_aside_and_the_rest_is_read() -> None:
    raw = pa.array([b"a.jpg", b"b\xff.jpg", b"c.jpg"], pa.binary())
    text = pa.StringArray.from_buffers(3, *raw.buffers()[1:])
    body = io.BytesIO()
    pq.write_table(pa.table({"file_name": text, "label": ["x", "y", "z"]}), body)
    assert _same(body.getvalue(), "parquet") == 2


def test_a_file_of_many_chunks_is_named_like_one() -> None:
    rows = [{"file_name": f"{i % 900}.jpg", "label": "cat"} for i in range(25_000)]
    body = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), body, row_group_size=4_000)
    assert _same(body.getvalue(), "parquet") == 25_000
    lines = "\n".join(map(json.dumps, rows)).encode()
    assert _same(lines, "jsonl") == 25_000
    assert _by_columns(lines, "jsonl", None)[0].equals(
        _by_columns(body.getvalue(), "parquet", None)[0]
    )


def test_ids_count_as_unique_over_the_whole_file_only() -> None:
    lines = [f"{i},{i}.jpg,x" for i in range(15_000)]
    body = "\n".join(["id,file_name,label", *lines]).encode()
    found, _ = _by_columns(body, "csv", None)
    assert found["record_id"].to_pylist()[-1] == "14999"
    found, _ = _by_columns(body + b"\n0,again.jpg,x\n", "csv", None)
    ids: list[Any] = found["record_id"].to_pylist()
    assert "14999" not in ids
    assert len(set(ids)) == 15_001
