"""Hashes made a column at a time are those that ``identity`` makes row by row."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainset.identity import row_fingerprint, row_id
from trainset.tables import row_hash
from trainset.tables.row_hash import row_fingerprints, row_ids
from trainset.tables.schema import ANNOTATIONS, ANNOTATIONS_FINGERPRINT

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['{"a":"\\\\n"}', "a\nb", "\u2028", "\x00\x1f\x7f", '"', "\\", "\U0001f600"]
)
_number = (
    st.floats()
    | st.floats(0, 2000).map(lambda x: round(x, 2))
    | st.integers(-9, 9).map(float)
    | st.floats(1e-5, 1e17)
)
_box = st.lists(_number, min_size=4, max_size=4)
_row = st.fixed_dictionaries(
    {
        name: st.none() | _box
        if name == "bbox"
        else st.none() | _number
        if name == "score"
        else st.none() | _text
        for name in ANNOTATIONS_FINGERPRINT
    }
)
_LOOSE = pa.schema([f.with_nullable(True) for f in ANNOTATIONS])


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=_LOOSE)


def _float_row(*numbers: float) -> dict[str, Any]:
    row = dict.fromkeys(ANNOTATIONS_FINGERPRINT)
    return {**row, "bbox": list(numbers), "score": numbers[0]}


@given(st.lists(_row, max_size=8), st.integers(1, 5), st.integers(0, 3))
@example([_float_row(1e15, 1e16, 999999999999999.9, 1e-4)], 5, 0)
@example(
    [_float_row(-0.0, 9.999e-5, 5e-324, 1e22), _float_row(0.1 + 0.2, 1e15 - 1, 123e13, 2**53)], 5, 0
)
@example(
    [_float_row(1e9, 999999999.5, 9999999999.5, 1e10), _float_row(1e-4, 1.5e-4, 1e9 - 1, 2.5)], 5, 0
)
@example([_float_row(float("nan"), float("inf"), float("-inf"), 100.0)], 5, 0)
def test_fingerprints_are_those_of_single_rows(
    rows: list[dict[str, Any]], chunk: int, skip: int
) -> None:
    table = pa.concat_tables([_table(rows[:3]), _table(rows[3:])]).slice(skip)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_hash, "_CHUNK", chunk)
        found = row_fingerprints(table, ANNOTATIONS_FINGERPRINT)
    assert found.type == pa.uint64()
    assert found.to_pylist() == [
        row_fingerprint(row, ANNOTATIONS_FINGERPRINT) for row in table.to_pylist()
    ]


@given(st.lists(_text, max_size=8), st.integers(0, 3))
def test_row_ids_are_those_of_single_keys(keys: list[str], skip: int) -> None:
    for column in (
        pa.array(keys, pa.string()),
        pa.chunked_array([keys[:2], keys[2:]], pa.string()),
    ):
        found = row_ids(column.slice(skip))
        assert found.type == pa.string()
        assert found.to_pylist() == [row_id(key) for key in keys[skip:]]


def test_a_column_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="binary"):
        row_fingerprints(pa.table({"a": [b"1"]}), ["a"])


def test_whole_numbers_and_booleans_have_the_fingerprints_of_single_rows() -> None:
    table = pa.table({"n": [1, None, -(2**62)], "b": [True, False, None]})
    found = row_fingerprints(table, ["n", "b"])
    assert found.to_pylist() == [row_fingerprint(row, ["n", "b"]) for row in table.to_pylist()]
