"""A run that others overtook: main moved while it worked, so its changes go on a newer base."""

from __future__ import annotations

from trainset.errors import NotFound
from trainset.metadata.tables.open import OpenBlock
from trainset.run.context import Run, branches_of
from trainset.run.metadata import align_work, sync_work
from trainset.run.reports import StageReport
from trainset.versions.base import Snapshot
from trainset.versions.replay import replay
from trainset.versions.rowmerge import RowConflict

EVENTS = "provenance/"


def replayed_on_main(
    run: Run, open_block: OpenBlock | None = None
) -> tuple[Run, tuple[RowConflict, ...]]:
    """The run's changes on a fresh branch from main; labels are matched again with all its media.

    Streams that moved on main too are synced again from main's state: cursors are never merged.
    Conflicts that the preferred side settled come along.
    """
    fresh = replay(run.home.versions, run.workspace, prefer=run.context.prefer)
    moved = sorted({source for source, _ in fresh.moved_streams})
    return _matched(run, fresh.workspace.run_id, moved, open_block), fresh.settled


def taken_up(run: Run, report: StageReport, open_block: OpenBlock | None = None) -> tuple[Run, int]:
    """The run; one that a cut off publish had replayed goes on where it was replayed to.

    Returns the number of that replay, too (0: none). The cut may have come before moved streams
    were synced again and labels matched again, so both are done; what is as on main is not read.
    """
    branches = branches_of(run.home.versions, run.context.run_id)
    if not branches or branches[0] == run.context.run_id:
        return run, 0
    sources = [source.name for source in run.spec.metadata] if report.metadata is not None else []
    newest = branches[-1]
    return _matched(run, newest, sources, open_block), int(newest.rpartition(".r")[2])


def _matched(run: Run, branch: str, sources: list[str], open_block: OpenBlock | None) -> Run:
    context = run.context.model_copy(update={"run_id": branch})
    align_work(context, [sync_work(context, name, open_block=open_block) for name in sources])
    again = Run(context)
    _drop_events_of_nothing(again)
    return again


def _drop_events_of_nothing(run: Run) -> None:
    """Where main has all that the run did, its events go: they alone make no commit."""
    work = run.workspace
    assert work.base is not None, "main moved, so it has a commit"
    main = run.home.versions.snapshot(work.base.id)
    changes = work.changes()
    events = [path for path in changes if path.startswith(EVENTS)]
    files = [path for path in changes.keys() - set(events) if not _same(run, main, path)]
    tables = [name for name in work.tables() if not _same_rows(run, main, name)]
    if not files and not tables:
        for path in events:
            work.remove(path)


def _same(run: Run, main: Snapshot, path: str) -> bool:
    try:
        return run.workspace.read(path) == main.read(path)
    except NotFound:
        return False


def _same_rows(run: Run, main: Snapshot, name: str) -> bool:
    """Whether the run wrote nothing to the table: every write makes a version."""
    table = run.table(name)
    return name in main.tables() and table is not None and table.version == main.table(name).version
