"""One table in every format: CSV, JSON, JSON Lines, Parquet and Excel give the same records."""

from __future__ import annotations

import bz2
import csv
import datetime as dt
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.formats.chunks import TableFormat
from trainset.metadata.labels import read_labels
from trainset.metadata.recognise import recognise
from trainset.metadata.shapes import read_table
from trainset.metadata.tabular import read_plain

Record = dict[str, Any]
CHECKOUT = Path(__file__).parents[2]

# What each of the formats can say: Excel has no control characters, and takes "=1" for a formula.
words = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"], exclude_characters="=#"),
    max_size=8,
)
tables = st.lists(
    st.fixed_dictionaries(
        {
            "file_name": words.map(lambda word: f"{word}.jpg"),
            "label": st.none() | words.map(lambda word: f"c{word}"),
            "caption": st.none() | words.map(lambda word: f"t{word}"),
            "score": st.none() | st.floats(-1e6, 1e6).map(lambda x: round(x, 4)),
            "n": st.integers(-(10**9), 10**9),
        }
    ),
    min_size=1,
    max_size=6,
)


def as_csv(rows: list[Record]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_jsonl(rows: list[Record]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def as_json(rows: list[Record]) -> bytes:
    return json.dumps(rows).encode()


def as_parquet(rows: list[Record]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def as_xlsx(rows: list[Record]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append([row[name] for name in rows[0]])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


WRITERS = {
    "csv": as_csv,
    "jsonl": as_jsonl,
    "json": as_json,
    "parquet": as_parquet,
    "xlsx": as_xlsx,
}


def _read(data: bytes, format_: TableFormat) -> tuple[list[Record], list[Rejected]]:
    items = list(read_table(data, format_, stream="s", place="labels"))
    rows = [item for item in items if not isinstance(item, Rejected)]
    return rows, [item for item in items if isinstance(item, Rejected)]


def _said(row: Record) -> Record:
    """A record less what CSV cannot say: the types of further fields, and that one is null."""
    rest = json.loads(row["attributes"] or "{}")
    rest = {name: str(value) for name, value in rest.items() if value is not None}
    return {**row, "record_id": None, "attributes": rest}


@settings(deadline=None, max_examples=40)
@given(tables)
def test_a_table_gives_the_same_records_in_every_format(rows: list[Record]) -> None:
    found = {}
    for format_, write in WRITERS.items():
        records, faults = _read(write(rows), format_)
        assert faults == []
        found[format_] = [_said(record) for record in records]
    assert len(found["json"]) == len(rows)
    for format_ in WRITERS:
        assert found[format_] == found["json"], format_


_names = st.text("abcxyz", min_size=1, max_size=4)
_boxes = st.lists(st.integers(2, 300), min_size=4, max_size=4)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "file_name": _names.map(lambda name: f"{name}.png"),
                "objects": st.lists(
                    st.fixed_dictionaries({"bbox": _boxes, "category": st.none() | _names})
                ),
                "info": st.fixed_dictionaries(
                    {"width": st.integers(1, 9), "tags": st.lists(_names)}
                ),
            }
        ),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_nested_columns_of_parquet_are_what_json_says(rows: list[Record], turned: bool) -> None:
    if turned:  # as Hugging Face writes them
        for row in rows:
            objects = row["objects"]
            row["objects"] = {
                name: [item[name] for item in objects] for name in ("bbox", "category")
            }
    kind = pa.struct([("bbox", pa.list_(pa.int64())), ("category", pa.string())])
    lists = pa.struct(
        [("bbox", pa.list_(pa.list_(pa.int64()))), ("category", pa.list_(pa.string()))]
    )
    info = pa.struct([("width", pa.int64()), ("tags", pa.list_(pa.string()))])
    schema = pa.schema(
        [
            ("file_name", pa.string()),
            ("objects", lists if turned else pa.list_(kind)),
            ("info", info),
        ]
    )
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), out)
    assert _read(out.getvalue(), "parquet") == _read(as_jsonl(rows), "jsonl")


def test_maps_of_parquet_are_objects_and_long_bytes_are_named_by_their_hash() -> None:
    table = pa.table(
        {
            "file_name": ["a.jpg"],
            "tags": pa.array([[("k", 1), ("m", 2)]], pa.map_(pa.string(), pa.int64())),
            "thumb": [b"\x01" * 5000],
            "at": [dt.datetime(2026, 1, 2, 3)],
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    ((where, fields),) = read_plain(out.getvalue(), "parquet", stream="s", place="p")
    assert where == "row 1"
    assert fields["tags"] == {"k": 1, "m": 2}
    assert fields["thumb"].startswith("sha256:")
    assert fields["at"] == "2026-01-02 03:00:00"


def _saved(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _plain(data: bytes, **options: Any) -> list[Any]:
    return list(read_plain(data, "xlsx", stream="s", place="labels", **options))


def test_excel_says_dates_as_iso_and_merged_cells_hold_for_all_rows_they_cover() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        [None],
        ["file", "label", "day", "at"],
        ["a.jpg", "cat", dt.datetime(2026, 1, 2), dt.datetime(2026, 1, 2, 3, 4)],
        ["b.jpg", None, dt.date(2026, 5, 6), dt.time(7, 8)],
        [None, None, None, None],
        ["c.jpg", "dog", True, 2.5, None, "beyond"],
    ):
        sheet.append(row)
    sheet.merge_cells("B3:B4")
    assert _plain(_saved(book)) == [
        (
            "row 3",
            {"file": "a.jpg", "label": "cat", "day": "2026-01-02", "at": "2026-01-02 03:04:00"},
        ),
        ("row 4", {"file": "b.jpg", "label": "cat", "day": "2026-05-06", "at": "07:08:00"}),
        ("row 6", {"file": "c.jpg", "label": "dog", "day": True, "at": 2.5, "column F": "beyond"}),
    ]


def test_errors_and_formulas_without_a_value_in_excel_are_set_aside() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["file", "n"], ["a.jpg", "#N/A"], ["b.jpg", "=1+1"], ["c.jpg", 3]):
        sheet.append(row)
    first, second, last = _plain(_saved(book))
    assert (first.record, first.kind, second.record) == ("row 2", "bad-value", "row 3")
    assert "B2 is #N/A" in first.reason
    assert "B3 is a formula without a stored value" in second.reason
    assert last[1] == {"file": "c.jpg", "n": 3}


def test_the_first_sheet_is_read_unless_another_is_named() -> None:
    book = openpyxl.Workbook()
    book.active.append(["file", "label"])
    book.active.append(["a.jpg", "cat"])
    book.create_sheet("Second").append(["file", "label"])
    book["Second"].append(["b.jpg", "dog"])
    data = _saved(book)
    assert _plain(data)[0][1]["file"] == "a.jpg"
    assert _plain(data, sheet="Second")[0][1]["file"] == "b.jpg"
    with pytest.raises(InputError, match="there are: Sheet, Second"):
        _plain(data, sheet="Third")


@pytest.mark.parametrize("format_", ["parquet", "xlsx"])
def test_a_broken_binary_table_is_named_with_the_next_step(format_: TableFormat) -> None:
    whole = WRITERS[format_]([{"file": "a.jpg", "label": "cat"}])
    for data in (whole[:-30], whole[: len(whole) // 2], whole[:8]):
        with pytest.raises(InputError, match="labels: broken"):
            _read(data, format_)


@pytest.mark.parametrize("format_", list(WRITERS))
@pytest.mark.parametrize("packing", ["", "gz", "bz2", "zst"])
def test_every_format_is_known_by_content_compressed_or_not(
    format_: str, packing: str, tmp_path: Path
) -> None:
    rows = [{"file_name": f"{i}.jpg", "label": "cat", "score": 0.5} for i in range(5)]
    data = WRITERS[format_](rows)
    pack = {
        "": lambda body: body,
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "zst": lambda body: pa.compress(body, codec="zstd", asbytes=True),
    }[packing]
    packed = pack(data)
    assert recognise(packed, whole=True).format == format_
    place = tmp_path / "labels.dat"
    place.write_bytes(packed)
    found = read_labels(place)
    assert found["media_ref"].to_pylist() == [f"{i}.jpg" for i in range(5)]
    if packing:
        place.write_bytes(packed[: len(packed) - 9])
        with pytest.raises(InputError):
            read_labels(place)


def test_other_zip_files_and_old_office_files_are_no_tables() -> None:
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as parts:
        parts.writestr("[Content_Types].xml", "x")
        parts.writestr("word/document.xml", "x")
    assert recognise(out.getvalue(), whole=True).format is None
    old = recognise(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, whole=True)
    assert (old.format, old.is_read) == ("old-office", False)


def test_a_parquet_file_with_several_file_names_a_row_is_hugging_face_metadata(
    tmp_path: Path,
) -> None:
    rows = [{"left_file_name": "l.png", "right_file_name": "r.png", "label": "same"}]
    (tmp_path / "metadata.parquet").write_bytes(as_parquet(rows))
    found = read_labels(tmp_path)
    assert found["media_ref"].to_pylist() == ["l.png", "r.png"]


_MEASURE = """
import resource, sys
from pathlib import Path
import trainset.metadata.table_records as t
from trainset.metadata.formats.packing import unpacked
from trainset.metadata.formats.table_file import TableFile
import trainset.metadata.formats.excel_rows, pyarrow.csv
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before, rows = peak(), 0
with unpacked(Path(sys.argv[1]), "p") as plain:
    for part in t.read_table_file(TableFile(plain, sys.argv[2], stream="s", place="p"), source="x"):
        rows += part.records.num_rows
print(rows, peak() - before)
"""


@pytest.mark.parametrize("name", ["csv", "quoted.csv", "jsonl", "parquet", "csv.gz"])
def test_a_large_table_is_read_in_memory_that_does_not_grow_with_it(
    name: str, tmp_path: Path
) -> None:
    """100 MB in 25,000 rows; the memory used stays below that."""
    place, count = tmp_path / name, 25_000
    row = {"file_name": "0.jpg", "label": "cat", "note": "x" * 4000}
    if name == "parquet":
        note = pa.array([os.urandom(2000).hex() for _ in range(count)])
        files = pa.array([f"{i}.jpg" for i in range(count)])
        pq.write_table(pa.table({"file_name": files, "note": note}), place, row_group_size=5000)
    elif name == "jsonl":
        place.write_text(
            "\n".join(json.dumps({**row, "file_name": f"{i}.jpg"}) for i in range(count))
        )
    else:
        quote = '"' if name == "quoted.csv" else ""
        lines = (f"{i}.jpg,cat,{quote}{'x' * 4000}{quote}" for i in range(count))
        body = "\n".join(["file_name,label,note", *lines]).encode()
        place.write_bytes(gzip.compress(body, 1) if name == "csv.gz" else body)
        del body, lines
    format_ = name.removesuffix(".gz").rpartition(".")[2]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(place), format_],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=True,
    )
    rows, grown = map(int, done.stdout.split())
    assert rows == count
    assert grown < 90 * 2**20, f"{grown / 2**20:.0f} MiB"
