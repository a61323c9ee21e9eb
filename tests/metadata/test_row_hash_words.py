"""``_row_hash``: stable for ever, the same however rows are cut, different when a value differs."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainset.metadata.tables.hashes import row_hashes

ROWS = pa.table(
    {
        "i": pa.array([1, None, -3], pa.int16()),
        "d": pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal128(12, 2)),
        "b": pa.array([True, None, False]),
        "f": pa.array([1.5, None, float("nan")], pa.float32()),
        "bytes": pa.array([b"x" * 600, b"", None]),
        "list": pa.array([[1, 2], None, []], pa.list_(pa.int64())),
        "day": pa.array([date(2020, 1, 1), None, date(2021, 1, 1)]),
        "at": pa.array([datetime(2026, 1, 1, tzinfo=UTC), None, None], pa.timestamp("us", "UTC")),
        "text": pa.array(["a longer text than one word", "ü", None]),
    }
)


def test_the_numbers_that_lie_in_commits_stay_as_they_are() -> None:
    found = row_hashes(ROWS, ROWS.column_names).to_pylist()
    assert found == [10564380283636667272, 2532617076370347229, 6028841817818099721]


def test_neither_chunks_nor_the_order_of_columns_matter() -> None:
    whole = row_hashes(ROWS, ROWS.column_names)
    cut = pa.concat_tables([ROWS.slice(0, 1), ROWS.slice(1)])
    assert row_hashes(cut, ROWS.column_names[::-1]).equals(whole)
    assert row_hashes(ROWS.slice(1), ROWS.column_names).equals(whole.slice(1))


def test_many_rows_have_the_numbers_that_few_of_them_have() -> None:
    texts = [f"{i}" * (i % 40) if i % 11 else None for i in range(40_000)]
    table = pa.table({"t": pa.array(texts, pa.string())})
    few = [row_hashes(table.slice(i, 999), ["t"]) for i in range(0, 40_000, 999)]
    assert row_hashes(table, ["t"]).equals(pa.concat_arrays(few))


def test_widened_numbers_and_columns_of_nothing_change_no_row() -> None:
    whole = row_hashes(ROWS, ["i", "f"])
    wide = ROWS.set_column(0, "i", ROWS["i"].cast(pa.int64()))
    wide = wide.set_column(3, "f", ROWS["f"].cast(pa.float64()))
    wide = wide.append_column("new", pa.nulls(3, pa.string()))
    assert row_hashes(wide, ["i", "f", "new"]).equals(whole)


@given(st.lists(st.text(max_size=40), unique=True, max_size=30))
def test_different_texts_differ(texts: list[str]) -> None:
    texts = [t for t in texts if t.isprintable()]
    found = row_hashes(pa.table({"t": pa.array(texts, pa.string())}), ["t"])
    assert len(set(found.to_pylist())) == len(texts)


@pytest.mark.parametrize("pair", [("", None), ("a", "a\0"), ("x" * 512, "x" * 513)])
def test_values_that_nearly_agree_differ(pair: tuple[str, str | None]) -> None:
    found = row_hashes(pa.table({"t": pa.array(pair, pa.string())}), ["t"]).to_pylist()
    assert found[0] != found[1]
