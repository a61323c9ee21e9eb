"""Rows of tables as label records: column by column the same as label files give row by row."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainset.metadata.layout import find_layout
from trainset.metadata.tables import records
from trainset.metadata.tables.hashes import row_hashes

FOUR = ["x", "y", "w", "h"]
NUMBER = st.one_of(
    st.none(),
    st.integers(-2, 900).map(float),
    st.floats(0, 1, width=32),
    st.sampled_from([float("nan"), float("inf"), 0.5]),
)
TEXT = st.one_of(st.none(), st.sampled_from(["", "car", 'a "b"\n', "ü"]))
ROW = st.fixed_dictionaries(
    {
        "file_name": st.one_of(st.sampled_from(["a.jpg", "b/c.jpg"]), TEXT),
        "label": TEXT,
        "score": st.one_of(st.none(), st.floats(0, 1)),
        "note": TEXT,
        "n": st.one_of(st.none(), st.integers(-5, 5)),
        **dict.fromkeys(FOUR, NUMBER),
        "bbox": st.one_of(
            st.none(),
            st.sampled_from(["", "[1, 2, 3, 4]", "1 2 3.5 4", "[1,2,3]", "[1,2,-3,4]", "box"]),
        ),
    }
)
TYPES = {"n": pa.int32(), "score": pa.float64(), **dict.fromkeys(FOUR, pa.float64())}


def _table(rows: list[dict[str, Any]], columns: list[str]) -> pa.Table:
    schema = pa.schema([(name, TYPES.get(name, pa.string())) for name in columns])
    return pa.Table.from_pylist([{n: row[n] for n in columns} for row in rows], schema=schema)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=8), st.sampled_from(["bbox", "parts", "none"]))
def test_by_column_and_row_by_row_give_the_same_labels(
    rows: list[dict[str, Any]], box: str
) -> None:
    boxes = {"bbox": ["bbox"], "parts": FOUR, "none": []}[box]
    table = _table(rows, ["file_name", "label", "score", "note", "n", *boxes])
    layout = (
        find_layout(table.to_pylist(), media="file_name", place="t")
        if any(row["file_name"] for row in rows)
        else None
    )
    if layout is None:
        return
    hashes = pa.chunked_array([row_hashes(table, table.column_names)])
    ours = records._by_column(table, hashes, layout, (), "s", "t")
    theirs = records._row_by_row(table, layout, (), "s", "t")
    same = ["media_ref", "kind", "class", "bbox", "geometry", "text", "score"]
    assert ours.records.select(same).to_pylist() == theirs.records.select(same).to_pylist()
    assert len({r["record_id"] for r in ours.records.to_pylist()}) == len(ours.records)
    assert len(ours.records) + len({(r.record, r.original) for r in ours.rejected}) >= 1
    left = [json.loads(a or "{}") for a in ours.records["attributes"].to_pylist()]
    wanted = [json.loads(a or "{}") for a in theirs.records["attributes"].to_pylist()]
    assert left == [{k: v for k, v in w.items() if v is not None} for w in wanted]


@pytest.mark.parametrize("key", [("id",), ("file_name", "id"), ()])
def test_records_have_ids_that_do_not_depend_on_their_place(key: tuple[str, ...]) -> None:
    rows = pa.table({"id": [1, 2, 2], "file_name": ["a.jpg", "b.jpg", "b.jpg"]})
    layout = find_layout(rows.to_pylist(), media="file_name", place="t")
    if key == ("id",):
        rows, layout = rows.slice(0, 2), records.replace(layout, record_id="id")

    def ids(table: pa.Table) -> list[str]:
        hashes = pa.chunked_array([row_hashes(table, table.column_names)])
        found = records._by_column(table, hashes, layout, key, "s", "t").records
        return found["record_id"].to_pylist()

    order = pa.array(range(len(rows) - 1, -1, -1))
    assert sorted(ids(rows)) == sorted(ids(rows.take(order)))
    assert len(set(ids(rows))) == len(rows)
