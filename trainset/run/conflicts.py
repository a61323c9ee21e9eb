"""Values that main and a run both changed: how a run lists them, settled or not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from trainset.model import LeftOut
from trainset.run.context import Run
from trainset.versions.durable import write_whole
from trainset.versions.filemerge import FileConflicts
from trainset.versions.rowmerge import RowConflict, RowConflicts

_FILE = "settled.json"  # in the run's scratch: a retry of the same run lists them, too


def unsettled(error: BaseException) -> tuple[LeftOut, ...]:
    """What kept a run from being merged, one item a value; nothing for other errors."""
    if isinstance(error, RowConflicts):
        return tuple(
            LeftOut(
                key=_key(conflict),
                stage="tables",
                kind=error.kind,
                reason=f"{_sides(conflict)}; run again with --prefer ours or --prefer theirs",
            )
            for conflict in error.conflicts
        )
    if isinstance(error, FileConflicts):
        return tuple(
            LeftOut(key=path, stage="tables", kind=error.kind, reason=str(error))
            for path in error.paths
        )
    return ()


def note_settled(run: Run, conflicts: Iterable[RowConflict]) -> None:
    """Remember what the preferred side decided, for the run's list of what was left out."""
    kept = "main's was kept" if run.context.prefer == "ours" else "this run's was taken"
    items = {item.identity: item for item in read_settled(run)}
    for conflict in conflicts:
        item = LeftOut(
            key=_key(conflict),
            stage="tables",
            kind="conflict-settled",
            reason=f"{_sides(conflict)}: {kept}; change its source where that is wrong",
        )
        items[item.identity] = item
    if items:
        body = [item.model_dump() for item in items.values()]
        write_whole(_place(run), json.dumps(body).encode())


def read_settled(run: Run) -> list[LeftOut]:
    """What was noted in this run."""
    try:
        raw = json.loads(_place(run).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [LeftOut.model_validate(item) for item in raw]


def _key(conflict: RowConflict) -> str:
    column = "" if conflict.column is None else f"#{conflict.column}"
    return f"{conflict.table}/{conflict.key}{column}"


def _sides(conflict: RowConflict) -> str:
    here = f"main (run {conflict.ours_run})" if conflict.ours_run else "main"
    there = f"this run ({conflict.theirs_run})" if conflict.theirs_run else "this run"
    if conflict.column is None:
        return f"{here} has it {conflict.ours}, {there} {conflict.theirs}"
    return (
        f"it was {conflict.base!r}; {here} made it {conflict.ours!r}, {there} {conflict.theirs!r}"
    )


def _place(run: Run) -> Path:
    return run.scratch / _FILE
