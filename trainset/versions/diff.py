"""How two commits differ, by row: counts per table, the ids behind them, columns new and gone.

Rows are compared by fingerprint, in parts, so that memory does not grow with the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from trainset.model import Frozen
from trainset.tables.base import Table, TableStore
from trainset.versions.base import Snapshot, TableChange
from trainset.versions.rowparts import ROWS_AT_ONCE, slim_parts
from trainset.versions.rowstate import align, computed_columns, own_columns


@dataclass(frozen=True)
class RowDiff:
    """Row ids (Arrow string arrays) by what happened to them; a row is in one of the first four.

    Attributes:
        recomputed: user columns are the same, some computed cell is not.
        cells: per computed column the rows in which its cell differs, changed rows included.
    """

    added: pa.Array
    removed: pa.Array
    changed: pa.Array
    recomputed: pa.Array
    cells: dict[str, pa.Array] = field(default_factory=dict)

    def __add__(self, other: RowDiff) -> RowDiff:
        none = pa.array([], pa.string())
        return RowDiff(
            added=pa.concat_arrays([self.added, other.added]),
            removed=pa.concat_arrays([self.removed, other.removed]),
            changed=pa.concat_arrays([self.changed, other.changed]),
            recomputed=pa.concat_arrays([self.recomputed, other.recomputed]),
            cells={
                n: pa.concat_arrays([self.cells.get(n, none), other.cells.get(n, none)])
                for n in dict.fromkeys([*self.cells, *other.cells])
            },
        )


class Diff(Frozen):
    """How the rows of two commits differ; ``tables`` lists those that do, by name."""

    before: str | None
    after: str
    tables: tuple[TableChange, ...] = ()

    def summary(self) -> dict[str, dict[str, int]]:
        """Rows added, removed, changed and computed again, by table."""
        return {change.table: change.counts for change in self.tables}


def diff_tables(before: Table | None, after: Table | None) -> RowDiff:
    """Compare by fingerprints; None stands for a table that is not there."""
    first, *others = diff_parts(before, after)
    return sum(others, first)


def diff_parts(
    before: Table | None, after: Table | None, *, rows_at_once: int = ROWS_AT_ONCE
) -> Iterator[RowDiff]:
    """As ``diff_tables``, in parts: together they are the whole."""
    for views in slim_parts([before, after], rows_at_once=rows_at_once):
        yield _diff(views)


def _diff(views: list[pa.Table]) -> RowDiff:
    ids, (old, new) = align(views)
    stayed = old.present & new.present
    changed = stayed & (old.row != new.row)
    cells = {column: stayed & ~new.same_cells(old, column) for column in new.cells}
    recomputed = np.zeros(len(ids), dtype=bool)
    for differs in cells.values():
        recomputed |= differs & ~changed

    def pick(mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> pa.Array:
        return ids.filter(pa.array(mask))

    return RowDiff(
        added=pick(new.present & ~old.present),
        removed=pick(old.present & ~new.present),
        changed=pick(changed),
        recomputed=pick(recomputed),
        cells={column: pick(differs) for column, differs in cells.items() if differs.any()},
    )


def diff_snapshots(
    before: Snapshot | None, after: Snapshot, tables: TableStore | None = None
) -> Diff:
    """Compare every table of either commit; ``tables`` None: Lance."""
    if tables is None:
        from trainset.tables.lance_store import LanceTableStore

        tables = LanceTableStore()
    names = sorted({*(before.tables() if before else ()), *after.tables()})
    changes = []
    for name in names:
        old = open_table(before, name, tables)
        new = open_table(after, name, tables)
        if old is not None and new is not None and old.location == new.location:
            continue  # the same table at the same version
        change = count_table(name, old, new)
        if change != TableChange(table=name):
            changes.append(change)
    return Diff(
        before=None if before is None else before.commit.id,
        after=after.commit.id,
        tables=tuple(changes),
    )


def count_table(name: str, before: Table | None, after: Table | None) -> TableChange:
    """How one table differs, counted; None stands for a table that is not there."""
    counts = dict.fromkeys(("added", "removed", "changed", "recomputed"), 0)
    for part in diff_parts(before, after):
        for how in counts:
            counts[how] += len(getattr(part, how))
    if before is None or after is None:
        return TableChange(table=name, fate="new" if before is None else "gone", **counts)
    old, new = _types(before), _types(after)
    return TableChange(
        table=name,
        columns_added=tuple(n for n in new if n not in old),
        columns_removed=tuple(n for n in old if n not in new),
        columns_retyped=tuple(
            f"{n}: {old[n]} to {new[n]}" for n in new if n in old and old[n] != new[n]
        ),
        **counts,
    )


def _types(table: Table) -> dict[str, str]:
    """Type by column, computed ones too, without what is kept beside them."""
    names = table.schema.names
    columns = [*own_columns(names), *computed_columns(names)]
    return {name: str(table.schema.field(name).type) for name in names if name in columns}


def open_table(snapshot: Snapshot | None, name: str, tables: TableStore) -> Table | None:
    """A table of a commit, or None where the commit has none of that name."""
    if snapshot is None or name not in snapshot.tables():
        return None
    return tables.open(snapshot.table(name))
