"""What is known of the base, by an index or by rows in memory, answers as the rows would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainset.errors import InputError
from trainset.identity import row_id
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.schema import MEDIA, finish_rows
from trainset.transfer import base_index
from trainset.transfer.base_index import BaseIndex
from trainset.transfer.base_rows import BaseFiles, BaseRow, BaseRows

KEYS = st.sampled_from([f"a/{i}" for i in range(12)] + ["a/ü b", 'a/"q"', "a/\\x"])
SIZES = st.none() | st.integers(0, 2)
VERSIONS = st.none() | st.sampled_from(["", "0", "1", "10", "None"])
ROWS = st.dictionaries(
    KEYS, st.builds(BaseRow, SIZES, VERSIONS, st.sampled_from(["present", "missing"]))
)
ASKED = st.lists(
    st.tuples(KEYS, st.integers(0, 2), st.sampled_from(["", "0", "1", "10", "None"])), max_size=9
)


def index_of(rows: Mapping[str, BaseRow]) -> BaseIndex:
    """An index as a media table with these rows would give it."""
    table = pa.table(
        {
            "row_id": pa.array([base_index.row_id(key) for key in rows], pa.string()),
            "key": pa.array(list(rows), pa.string()),
            "size": pa.array([row.size for row in rows.values()], pa.int64()),
            "source_version": pa.array([r.source_version for r in rows.values()], pa.string()),
            "source_state": pa.array([r.source_state for r in rows.values()], pa.string()),
        }
    )
    return BaseIndex(lambda columns: table.select(columns).to_batches())


@pytest.mark.parametrize("of", [index_of, BaseRows])
@settings(deadline=None)
@given(rows=ROWS, asked=ASKED)
def test_a_base_answers_as_its_rows_do(
    of: Callable[[Mapping[str, BaseRow]], BaseFiles],
    rows: dict[str, BaseRow],
    asked: list[tuple[str, int, str]],
) -> None:
    base = of(rows)
    found = base.find(asked)
    assert found.known == [key in rows for key, _, _ in asked]
    assert found.same == [
        key in rows and rows[key][:2] == (size, version) for key, size, version in asked
    ]
    assert found.missing == [
        key in rows and rows[key].source_state == "missing" for key, _, _ in asked
    ]
    left = {k: r.source_state == "missing" for k, r in rows.items()}
    for key, _, _ in asked:
        left.pop(key, None)
    assert dict(base.unseen()) == left


def test_ids_that_agree_in_64_bits_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {f"k{n}": f"{'ab' * 8}{n:016x}" for n in range(5)}
    monkeypatch.setattr("trainset.transfer.base_index.row_id", ids.__getitem__)
    rows = {key: BaseRow(n, str(n)) for n, key in enumerate(ids) if n != 2}
    found = index_of(rows).find([(key, n, str(n)) for n, key in enumerate(ids)])
    assert found.known == [True, True, False, True, True]
    assert found.same == found.known


def test_a_row_costs_26_bytes() -> None:
    index = index_of({f"a/{n}": BaseRow(n, str(n)) for n in range(1_000)})
    assert (len(index), index.nbytes) == (1_000, 26 * 1_000)


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
    assert index.find([("a/1", 1, "1"), ("a/2", 2, "2")]).same == [True, False]
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
