"""Which run changed a row: conflicts are told with the runs of both sides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from trainset.model import Commit
from trainset.tables.base import TableStore
from trainset.versions.base import VersionStore
from trainset.versions.diff import open_table
from trainset.versions.rowmerge import RowConflict

Row = tuple[str, str]  # table, row id
Prints = dict[Row, int]


def last_changed(
    versions: VersionStore, ref: str, base: str | None, rows: Sequence[Row], tables: TableStore
) -> dict[Row, str]:
    """By row the run (or the commit, where it names none) that changed it last since ``base``."""
    found: dict[Row, str] = {}
    newer: tuple[Commit, Prints] | None = None
    for commit in versions.log(ref):
        prints = _prints(versions, commit.id, rows, tables)
        if newer is not None:
            _note(found, newer, prints, rows)
        newer = (commit, prints)
        if commit.id == base or len(found) == len(rows):
            return found
    if newer is not None:
        _note(found, newer, {}, rows)
    return found


def with_runs(
    conflicts: Iterable[RowConflict], ours: dict[Row, str], theirs: dict[Row, str]
) -> list[RowConflict]:
    """The conflicts with the names of both runs."""
    return [
        c.model_copy(
            update={
                "ours_run": ours.get((c.table, c.row_id)),
                "theirs_run": theirs.get((c.table, c.row_id)),
            }
        )
        for c in conflicts
    ]


def rows_in(conflicts: Iterable[RowConflict]) -> list[Row]:
    """The rows that conflict, each once."""
    return list(dict.fromkeys((c.table, c.row_id) for c in conflicts))


def _note(
    found: dict[Row, str], newer: tuple[Commit, Prints], older: Prints, rows: Sequence[Row]
) -> None:
    commit, prints = newer
    for row in rows:
        if row not in found and prints.get(row) != older.get(row):
            found[row] = commit.metadata.get("run_id") or commit.id[:12]


def _prints(versions: VersionStore, commit: str, rows: Sequence[Row], tables: TableStore) -> Prints:
    snapshot = versions.snapshot(commit)
    found: Prints = {}
    for name in dict.fromkeys(table for table, _ in rows):
        if (table := open_table(snapshot, name, tables)) is not None:
            ids = pa.array([i for t, i in rows if t == name], pa.string())
            for row in table.take(ids, ["row_id", "row_fp"]).read_all().to_pylist():
                found[name, row["row_id"]] = row["row_fp"]
    return found
