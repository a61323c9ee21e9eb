"""Computed cells as Arrow columns, staged beside the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trainset.compute.base import ItemError, Operator
from trainset.compute.fetch import Found, found_columns
from trainset.compute.plan import DueRow
from trainset.identity import hash64
from trainset.tables.base import Table
from trainset.tables.schema import computed_fields

# By column, by content id: the value as a one-element Arrow array, or why there is none.
Filled = dict[str, dict[str, Any]]


def stage_cells(
    table: Table,
    fragment: int,
    due: Mapping[str, list[DueRow]],
    operators: Mapping[str, Operator],
    filled: Filled,
    found: Mapping[str, Found],
) -> str:
    """Stage the due cells of one fragment, and what reading found out of its media (by row id).

    Returns the token. All columns that are touched go in one fill: a row that is due in one of
    them keeps its cells in the others.
    """
    names = sorted(due)
    ids = list(dict.fromkeys([row.row_id for name in names for row in due[name]] + [*found]))
    marks = [field.name for name in names for field in computed_fields(name, pa.null())]
    before = table.read_fragment(fragment, ["row_id", *marks])
    at = pc.index_in(pa.array(ids), value_set=before["row_id"].combine_chunks())
    before = before.take(at)
    cells: dict[str, pa.Array] = {"row_id": pa.array(ids, pa.string())}
    if found:
        cells |= found_columns(table, fragment, ids, found)
    for name in names:
        rows_due = {row.row_id: row for row in due[name]}
        operator = operators[name]
        fields = computed_fields(name, operator.output)
        kept = [before[field.name].combine_chunks() for field in fields]
        rows = [
            _cells_of(rows_due[row_id], filled[name], operator)
            if row_id in rows_due
            else [old.slice(i, 1) for old in kept]
            for i, row_id in enumerate(ids)
        ]
        for j, field in enumerate(fields):
            cells[field.name] = pa.concat_arrays([row[j] for row in rows])
    return table.stage_fill(fragment, pa.table(cells))


def _cells_of(row: DueRow, cells: Mapping[str, Any], operator: Operator) -> list[pa.Array]:
    """Value, source, function and error of one cell, as one-element arrays."""
    cell = cells[row.content]
    source = None if row.sha256 is None else hash64(row.sha256)
    failed = isinstance(cell, ItemError)
    return [
        pa.nulls(1, operator.output) if failed else cell,
        pa.array([source], pa.uint64()),
        pa.array([operator.function.fn_id], pa.string()),
        pa.array([cell.encode() if failed else None], pa.string()),
    ]
