"""Computed cells as Arrow columns, staged beside the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trainset.compute.base import ItemError, Operator
from trainset.compute.plan import DueRow
from trainset.identity import hash64
from trainset.tables.base import Table
from trainset.tables.schema import computed_fields

# By column, by sha256: the value as a one-element Arrow array, or why there is none.
Filled = dict[str, dict[str, Any]]


def stage_cells(
    table: Table,
    fragment: int,
    due: Mapping[str, list[DueRow]],
    operators: Mapping[str, Operator],
    filled: Filled,
) -> str:
    """Stage the due cells of one fragment; returns the token.

    All columns that are touched go in one fill: a row that is due in one of them keeps its cells
    in the others.
    """
    names = sorted(due)
    ids = list(dict.fromkeys(row.row_id for name in names for row in due[name]))
    marks = [field.name for name in names for field in computed_fields(name, pa.null())]
    before = table.read_fragment(fragment, ["row_id", *marks])
    at = pc.index_in(pa.array(ids), value_set=before["row_id"].combine_chunks())
    before = before.take(at)
    cells: dict[str, pa.Array] = {"row_id": pa.array(ids, pa.string())}
    for name in names:
        shas = {row.row_id: row.sha256 for row in due[name]}
        operator = operators[name]
        fields = computed_fields(name, operator.output)
        kept = [before[field.name].combine_chunks() for field in fields]
        rows = [
            _cells_of(shas[row_id], filled[name][shas[row_id]], operator)
            if row_id in shas
            else [old.slice(i, 1) for old in kept]
            for i, row_id in enumerate(ids)
        ]
        for j, field in enumerate(fields):
            cells[field.name] = pa.concat_arrays([row[j] for row in rows])
    return table.stage_fill(fragment, pa.table(cells))


def _cells_of(sha256: str, cell: Any, operator: Operator) -> list[pa.Array]:
    """Value, source, function and error of one cell, as one-element arrays."""
    failed = isinstance(cell, ItemError)
    return [
        pa.nulls(1, operator.output) if failed else cell,
        pa.array([hash64(sha256)], pa.uint64()),
        pa.array([operator.function.fn_id], pa.string()),
        pa.array([cell.encode() if failed else None], pa.string()),
    ]
