"""How the rows of two commits differ: counts per table, and which rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from trainset.model import Frozen
from trainset.tables.base import Table, TableStore
from trainset.tables.schema import FINGERPRINTS
from trainset.versions.base import Snapshot, TableChange
from trainset.versions.rowapply import rows_of
from trainset.versions.rowmerge import key_of
from trainset.versions.rowstate import align, cell_parts, computed_columns, slim


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

    def counts(self, table: str) -> TableChange:
        return TableChange(
            table=table,
            added=len(self.added),
            removed=len(self.removed),
            changed=len(self.changed),
            recomputed=len(self.recomputed),
        )


class Diff(Frozen):
    """How the rows of two commits differ; ``tables`` lists those that do, by name."""

    before: str | None
    after: str
    tables: tuple[TableChange, ...] = ()

    def summary(self) -> dict[str, dict[str, int]]:
        """Rows added, removed, changed and computed again, by table."""
        return {change.table: change.model_dump(exclude={"table"}) for change in self.tables}


@dataclass(frozen=True)
class RowChange:
    """One changed row: its key, and per column the value before and after."""

    row_id: str
    key: str
    columns: dict[str, tuple[Any, Any]]


def diff_tables(before: Table | None, after: Table | None) -> RowDiff:
    """Compare by fingerprints; None stands for a table that is not there."""
    ids, (old, new) = align(slim([before, after]))
    stayed = old.present & new.present
    changed = stayed & (old.row != new.row)
    cells = {column: stayed & ~new.same_cells(old, column) for column in new.cells}
    recomputed = np.zeros(len(ids), dtype=bool)
    for differs in cells.values():
        recomputed |= differs & ~changed

    def pick(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> pa.Array:
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
        change = diff_tables(old, new).counts(name)
        if change != TableChange(table=name):
            changes.append(change)
    return Diff(
        before=None if before is None else before.commit.id,
        after=after.commit.id,
        tables=tuple(changes),
    )


def open_table(snapshot: Snapshot | None, name: str, tables: TableStore) -> Table | None:
    """A table of a commit, or None where the commit has none of that name."""
    if snapshot is None or name not in snapshot.tables():
        return None
    return tables.open(snapshot.table(name))


def changed_columns(
    table: str, before: Table, after: Table, ids: Sequence[str] | pa.Array, *, limit: int = 1000
) -> list[RowChange]:
    """Which columns of changed rows differ, with both values; at most ``limit`` rows."""
    wanted = pa.array(ids, pa.string()).slice(0, limit)
    names = [n for n in after.schema.names if n in before.schema.names]
    computed = {part for c in computed_columns(after.schema.names) for part in cell_parts(c)}
    prints = FINGERPRINTS.get(table, ())
    user = [n for n in names if n not in computed and n not in ("row_id", "row_fp")]
    shown = [n for n in user if n in prints] if prints else user
    columns = ["row_id", *dict.fromkeys([*shown, *(n for n in ("key",) if n in names)])]
    old = rows_of(before, wanted, columns).to_pylist()
    new = rows_of(after, wanted, columns).to_pylist()
    return [
        RowChange(
            row_id=now["row_id"],
            key=key_of(now),
            columns={n: (was[n], now[n]) for n in shown if was[n] != now[n]},
        )
        for was, now in zip(old, new, strict=True)
    ]
