"""The index of the media table answers as the rows themselves would."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainset.errors import InputError
from trainset.identity import row_id
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.schema import MEDIA, finish_rows
from trainset.transfer.base_index import BaseIndex, BaseRow

KEYS = st.sampled_from([f"a/{i}" for i in range(12)] + ["a/ü b", 'a/"q"', "a/\\x"])
SIZES = st.none() | st.integers(0, 2)
VERSIONS = st.none() | st.sampled_from(["", "0", "1", "10", "None"])
ROWS = st.dictionaries(
    KEYS, st.builds(BaseRow, SIZES, VERSIONS, st.sampled_from(["present", "missing"]))
)
ASKED = st.lists(
    st.tuples(KEYS, st.integers(0, 2), st.sampled_from(["", "0", "1", "10", "None"])), max_size=9
)


@settings(deadline=None)
@given(ROWS, ASKED)
def test_an_index_answers_as_its_rows_do(
    rows: dict[str, BaseRow], asked: list[tuple[str, int, str]]
) -> None:
    index = BaseIndex.of(rows)
    found = index.find(asked)
    assert len(index) == len(rows)
    assert found.known.tolist() == [key in rows for key, _, _ in asked]
    assert found.same.tolist() == [
        key in rows and rows[key][:2] == (size, version) for key, size, version in asked
    ]
    assert found.missing.tolist() == [
        key in rows and rows[key].source_state == "missing" for key, _, _ in asked
    ]
    left = {k: r.source_state == "missing" for k, r in rows.items()}
    for key, _, _ in asked:
        left.pop(key, None)
    assert dict(index.unseen()) == left


def test_ids_that_agree_in_64_bits_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {f"k{n}": f"{'ab' * 8}{n:016x}" for n in range(5)}
    monkeypatch.setattr("trainset.transfer.base_index.row_id", ids.__getitem__)
    rows = {key: BaseRow(n, str(n)) for n, key in enumerate(ids) if n != 2}
    found = BaseIndex.of(rows).find([(key, n, str(n)) for n, key in enumerate(ids)])
    assert found.known.tolist() == [True, True, False, True, True]
    assert found.same.tolist() == found.known.tolist()


def test_a_row_costs_26_bytes() -> None:
    index = BaseIndex.of({f"a/{n}": BaseRow(n, str(n)) for n in range(1_000)})
    assert index.nbytes == 26 * 1_000


def test_the_media_table_is_read_as_a_stream_and_again_for_what_is_gone(tmp_path: object) -> None:
    table = LanceTableStore().create(TableLocation(uri=f"{tmp_path}/media"), MEDIA)
    rows = [
        {"key": f"a/{n}", "size": n, "source_version": "1", "source_state": "present"}
        for n in range(3)
    ]
    table.upsert(finish_rows("media", [{**dict.fromkeys(MEDIA.names), **row} for row in rows]))
    asked: list[Sequence[str]] = []

    def scan(columns: Sequence[str]) -> pa.RecordBatchReader:
        asked.append(columns)
        return table.scan(columns)

    index = BaseIndex(scan)
    assert index.find([("a/1", 1, "1"), ("a/2", 2, "2")]).same.tolist() == [True, False]
    assert list(index.unseen()) == [("a/0", False)]
    assert "key" not in asked[0]  # keys are what fills memory
    index.find([("a/0", 0, "1")])
    assert (list(index.unseen()), len(asked)) == ([], 2)


def test_a_row_id_that_is_none_is_said() -> None:
    table = pa.table(
        {
            "row_id": [row_id("a/1")[:-1]],
            "size": [1],
            "source_version": ["1"],
            "source_state": ["present"],
        }
    )
    with pytest.raises(InputError, match="not 32 hex digits"):
        BaseIndex(lambda columns: table.select(columns).to_batches())
