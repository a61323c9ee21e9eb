"""Carrying out a row merge on tables: reads just the rows that differ, writes into ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.identity import row_fingerprint
from trainset.tables.base import Table
from trainset.tables.schema import FINGERPRINTS, SCHEMAS
from trainset.versions.rowmerge import (
    EMPTY,
    OURS,
    MergePlan,
    Prefer,
    RowConflict,
    key_of,
    merge_columns,
    plan_merge,
)
from trainset.versions.rowstate import cell_parts, computed_columns, slim

BATCH_ROWS = 20_000  # rows held in memory while they are carried over
_IN_LIST = 1_000  # ids that one query names


@dataclass
class TableMerge:
    """A planned merge of one table; ``apply`` writes it."""

    name: str
    base: Table | None
    ours: Table
    theirs: Table
    plan: MergePlan
    merged: pa.Table | None  # user columns of the rows that both sides changed
    conflicts: list[RowConflict]  # with a preferred side: what was settled by it

    def apply(self) -> None:
        """Write the changes into ours; repeating it changes nothing more."""
        plan, mine = self.plan, set(self.ours.schema.names)
        self.ours.add_columns([f for f in self.theirs.schema if f.name not in mine])
        for rows in _batches(self.theirs, plan.pick(plan.insert)):
            self.ours.upsert(rows)
        for ids in _slices(plan.pick(plan.take | plan.both)):
            self.ours.upsert(self._merged_rows(ids))
        for column in plan.cells:
            self._fill(column, plan.pick(plan.fills(column)))
        for ids in _slices(plan.pick(plan.delete), _IN_LIST):
            self.ours.delete(_in(ids))

    def _merged_rows(self, ids: pa.Array) -> pa.Table:
        """Whole rows for ``ids``: user columns theirs or merged, cells as the plan says."""
        rows = rows_of(self.theirs, ids)
        cells = [part for column in self.plan.cells for part in cell_parts(column)]
        ours = rows_of(self.ours, ids, ["row_id", *cells]) if cells else None
        if self.merged is not None:
            at = pc.index_in(ids, value_set=self.merged["row_id"].combine_chunks())
            for name in self.merged.column_names:
                rows = _replaced(rows, name, self.merged[name].take(at), pc.is_valid(at))
        where = pc.index_in(ids, value_set=self.plan.ids).to_numpy(zero_copy_only=False)
        for column, choice in self.plan.cells.items():
            for part in cell_parts(column):
                kind = self.ours.schema.field(part).type
                if part not in rows.column_names:
                    rows = rows.append_column(part, pa.nulls(rows.num_rows, kind))
                mine = pa.array(choice[where] == OURS)
                assert ours is not None
                rows = _replaced(rows, part, ours[part], mine)
                empty = pa.array(choice[where] == EMPTY)
                rows = _replaced(rows, part, pa.nulls(rows.num_rows, kind), empty)
        return rows

    def _fill(self, column: str, ids: pa.Array) -> None:
        if len(ids) == 0:
            return
        cells = rows_of(self.theirs, ids, ["row_id", *cell_parts(column)])
        keys, tokens = cells["row_id"].combine_chunks(), []
        for fragment in self.ours.fragments():
            there = self.ours.read_fragment(fragment, ["row_id"])["row_id"]
            at = pc.index_in(there, value_set=keys).combine_chunks().drop_null()
            if len(at):
                tokens.append(self.ours.stage_fill(fragment, cells.take(at)))
        self.ours.commit_fills(tokens)


def plan_table(
    name: str, base: Table | None, ours: Table, theirs: Table, *, prefer: Prefer | None = None
) -> TableMerge:
    """Plan the merge of one table; reads fingerprints, and the rows that both changed."""
    base_view, view, their_view = slim([base, ours, theirs])
    views = (base_view, view, their_view)
    return plan_table_slim(name, base, ours, theirs, views=views, prefer=prefer)


def plan_table_slim(
    name: str,
    base: Table | None,
    ours: Table,
    theirs: Table,
    *,
    views: tuple[pa.Table, pa.Table, pa.Table],
    prefer: Prefer | None = None,
) -> TableMerge:
    """As ``plan_table``, with slim views that the caller may have changed (rows held back)."""
    plan = plan_merge(*views, prefer=prefer)
    merged, conflicts = _merge_both(name, base, ours, theirs, plan.pick(plan.both), prefer)
    return TableMerge(
        name, base, ours, theirs, plan, merged, conflicts + _torn(name, plan, ours, theirs)
    )


def _merge_both(
    name: str,
    base: Table | None,
    ours: Table,
    theirs: Table,
    ids: pa.Array,
    prefer: Prefer | None,
) -> tuple[pa.Table | None, list[RowConflict]]:
    if len(ids) == 0:
        return None, []
    names = list(dict.fromkeys([*ours.schema.names, *theirs.schema.names]))
    computed = {part for c in computed_columns(names) for part in cell_parts(c)}
    columns = [n for n in names if n not in computed and n not in ("row_id", "row_fp")]
    prints = FINGERPRINTS.get(name, tuple(columns))
    outside = set(SCHEMAS[name].names) - set(prints) if name in SCHEMAS else set()
    wanted = ["row_id", *columns]
    old = {row["row_id"]: row for row in _plain(base, ids, wanted)}
    mine, new = _plain(ours, ids, wanted), _plain(theirs, ids, wanted)
    rows, conflicts = merge_columns(
        name,
        [old.get(row["row_id"]) for row in mine],
        mine,
        new,
        columns=columns,
        bookkeeping=sorted(outside),
        fingerprint=lambda row: row_fingerprint(row, prints),
        prefer=prefer,
    )
    fields = [_field(n, ours, theirs) for n in ["row_id", *columns, "row_fp"]]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields)), conflicts


def _torn(name: str, plan: MergePlan, ours: Table, theirs: Table) -> list[RowConflict]:
    ids = plan.pick(plan.torn)
    named = [n for n in ("key", "source", "stream", "record_id") if n in ours.schema.names]
    found = []
    for table, here, there in ((ours, "changed", "removed"), (theirs, "removed", "changed")):
        for row in rows_of(table, ids, ["row_id", *named], missing_ok=True).to_pylist():
            found.append(
                RowConflict(
                    table=name,
                    row_id=row["row_id"],
                    key=key_of(row),
                    column=None,
                    ours=here,
                    theirs=there,
                )
            )
    return found


def rows_of(
    table: Table, ids: pa.Array, columns: list[str] | None = None, *, missing_ok: bool = False
) -> pa.Table:
    """The rows of ``ids``, in that order."""
    names = columns or table.schema.names
    schema = pa.schema([table.schema.field(n) for n in names])
    if len(ids) == 0:
        return schema.empty_table()
    found = table.take(ids, names).read_all()
    at = pc.index_in(ids, value_set=found["row_id"].combine_chunks())
    if at.null_count and not missing_ok:
        raise KeyError(f"row {ids.filter(pc.is_null(at))[0].as_py()} went away while it was read")
    return found.take(at.drop_null())


def _batches(table: Table, ids: pa.Array) -> Iterator[pa.Table]:
    """The rows of ``ids`` in any order, some ``BATCH_ROWS`` at a time."""
    held: list[pa.RecordBatch] = []
    for batch in table.take(ids) if len(ids) else ():
        held.append(batch)
        if sum(b.num_rows for b in held) >= BATCH_ROWS:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _slices(ids: pa.Array, size: int = BATCH_ROWS) -> Iterator[pa.Array]:
    for start in range(0, len(ids), size):
        yield ids.slice(start, size)


def _plain(table: Table | None, ids: pa.Array, columns: list[str]) -> list[Mapping[str, Any]]:
    if table is None:
        return []
    names = [n for n in columns if n in table.schema.names]
    rows: list[Mapping[str, Any]] = rows_of(table, ids, names, missing_ok=True).to_pylist()
    return rows


def _field(name: str, *tables: Table) -> pa.Field:
    return next(t.schema.field(name) for t in tables if name in t.schema.names)


def _replaced(rows: pa.Table, name: str, values: Any, where: Any) -> pa.Table:
    """``rows`` with column ``name`` taken from ``values`` where ``where`` holds."""
    # By take, not if_else: that has no kernel for lists.
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if name not in rows.column_names:
        rows = rows.append_column(name, pa.nulls(rows.num_rows, values.type))
    at = rows.column_names.index(name)
    now = rows.column(at).combine_chunks()
    stacked = pa.concat_arrays([now, values.cast(now.type)])
    steps = np.arange(rows.num_rows, dtype=np.int64)
    mask = np.asarray(where.to_numpy(zero_copy_only=False), dtype=bool)
    picked = stacked.take(pa.array(np.where(mask, steps + rows.num_rows, steps)))
    return rows.set_column(at, rows.schema.field(at).with_nullable(True), picked)


def _in(ids: pa.Array) -> str:
    quoted = ", ".join("'" + str(i).replace("'", "''") + "'" for i in ids.to_pylist())
    return f"row_id IN ({quoted})"
