"""Taking the changes of one side (a run, a branch) into a workspace that begins at another commit.

``replay`` is what a run does when main moved while it worked. It speaks the protocols only, so it
serves every version store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from trainset.errors import InputError
from trainset.tables.base import Table, TableLocation, TableStore
from trainset.tables.label_states import STATUS, put_label_states, read_label_states
from trainset.versions.base import MAIN, FileChange, Snapshot, VersionStore, Workspace
from trainset.versions.blame import last_changed, rows_in, with_runs
from trainset.versions.filemerge import Stream, plan_files, stream_of
from trainset.versions.rowapply import TableMerge, plan_table_slim
from trainset.versions.rowmerge import Prefer, RowConflict, RowConflicts
from trainset.versions.rowstate import slim

ANNOTATIONS, MEDIA = "annotations", "media"
_REPLAY = re.compile(r"(.+)\.r(\d+)")
_STATE, _MANIFEST = "/_state.json", "/_manifest.json"


class Changed(Protocol):
    """A side whose changes are taken over: a ``Workspace`` or a ``Snapshot``."""

    def tables(self) -> Sequence[str]: ...

    def table(self, name: str) -> TableLocation: ...

    def read(self, path: str) -> bytes: ...

    def list(self, prefix: str = "") -> Sequence[str]: ...


class Replayed(NamedTuple):
    """A workspace from main with the run's changes, uncommitted, and the streams held back.

    ``settled``: conflicts that the preferred side decided.
    """

    workspace: Workspace
    moved_streams: tuple[Stream, ...]
    settled: tuple[RowConflict, ...] = ()


class Taken(NamedTuple):
    """What came of taking changes over: streams that moved on both sides, settled conflicts."""

    moved_streams: tuple[Stream, ...]
    settled: tuple[RowConflict, ...]


def replay(
    versions: VersionStore,
    workspace: Workspace,
    *,
    tables: TableStore | None = None,
    prefer: Prefer | None = None,
) -> Replayed:
    """Put a run's changes on a fresh branch from the newest main, and drop the run's old branch.

    The new run is called ``<run id>.r<n>``. When it was killed in between, repeating the call with
    the old workspace starts over; nothing was dropped. Rows of streams that moved on main are left
    as main has them: sync those streams again before the gate.

    Args:
        prefer: what conflicts is main's (``ours``) or the run's (``theirs``), and is listed.
    Raises:
        RowConflicts: both changed the same column of a row; the run's branch stays for a look.
        FileConflicts: as RowConflicts, for a file.
    """
    run_id = _next_id(workspace.run_id)
    if run_id in versions.runs():
        versions.begin(run_id).discard()
    fresh = versions.begin(run_id)
    base = None if workspace.base is None else versions.snapshot(workspace.base.id)
    store = tables or _lance()

    def named(conflicts: Sequence[RowConflict]) -> list[RowConflict]:
        rows = rows_in(conflicts)
        since = None if base is None else base.commit.id
        tip = MAIN if fresh.base is None else fresh.base.id
        ours = last_changed(versions, tip, since, rows, store)
        return with_runs(conflicts, ours, dict.fromkeys(rows, _own_id(workspace.run_id)))

    try:
        taken = take_changes(
            base,
            workspace,
            fresh,
            changes=workspace.changes(),
            tables=store,
            keep=workspace,
            prefer=prefer,
        )
        settled = named(taken.settled) if taken.settled else ()
    except RowConflicts as err:
        fresh.discard()
        raise RowConflicts(named(err.conflicts)) from err
    except BaseException:
        fresh.discard()
        raise
    workspace.discard()
    return Replayed(fresh, taken.moved_streams, tuple(settled))


def take_changes(
    base: Snapshot | None,
    theirs: Changed,
    into: Workspace,
    *,
    changes: Mapping[str, FileChange],
    tables: TableStore | None = None,
    keep: Workspace | Snapshot,
    prefer: Prefer | None = None,
) -> Taken:
    """Three-way merge of ``theirs`` into the workspace ``into``; checks all before it writes.

    Args:
        base: the common ancestor; None: nothing.
        changes: how ``theirs`` changed files against ``base``.
        keep: where the bytes of carried files are fetched.
        prefer: whose value counts where both changed the same; None: that is an error.
    Returns:
        The streams that moved on both sides, of which nothing was taken, and what was settled.
    Raises:
        RowConflicts, FileConflicts: nothing was written.
    """
    here, there = set(into.list()), set(theirs.list())
    ours = _our_changes(base, into, here, changes)
    same = {
        p: (p in here) == (p in there) and (p not in here or into.read(p) == theirs.read(p))
        for p in changes.keys() & ours
    }
    files = plan_files(changes, ours, same=same, prefer=prefer)
    merges = _plan_tables(base, theirs, into, files.moved_streams, tables or _lance(), prefer)
    conflicts = [c for merge in merges for c in merge.conflicts]
    if conflicts and prefer is None:
        raise RowConflicts(conflicts)
    conflicts += [_of_file(path) for path in files.settled]
    for merge in merges:
        merge.apply()
    _derive(theirs, into, tables or _lance())
    for path, how in files.carry.items():
        if how == "written":
            into.write(path, theirs.read(path))
        elif how == "put":
            into.put_file(path, keep.fetch(path))
        elif path in here:
            into.remove(path)
    return Taken(files.moved_streams, tuple(conflicts))


def _of_file(path: str) -> RowConflict:
    return RowConflict(
        table="files", row_id=path, key=path, column=None, ours="changed", theirs="changed"
    )


def _plan_tables(
    base: Snapshot | None,
    theirs: Changed,
    into: Workspace,
    moved: tuple[Stream, ...],
    tables: TableStore,
    prefer: Prefer | None,
) -> list[TableMerge]:
    merges = []
    held = [] if base is None else list(base.tables())
    for name in theirs.tables():
        if name == STATUS:
            continue  # made anew from the merged labels
        old = tables.open(base.table(name)) if base is not None and name in held else None
        new = tables.open(theirs.table(name))
        target = into.table(name)
        is_new = not tables.exists(target)
        mine = tables.create(target, new.schema) if is_new else tables.open(target)
        base_view, view, their_view = slim([old, mine, new])
        if name == ANNOTATIONS and moved:
            their_view = _held_back(base_view, their_view, old, new, moved)
        views = (base_view, view, their_view)
        merge = plan_table_slim(name, old, mine, new, views=views, prefer=prefer)
        if is_new or merge.plan.changes or set(new.schema.names) - set(mine.schema.names):
            merges.append(merge)
    return merges


def _derive(theirs: Changed, into: Workspace, tables: TableStore) -> None:
    """Make anew what follows from other tables: merged row by row it could say what none does."""
    location, labels, media = (into.table(n) for n in (STATUS, ANNOTATIONS, MEDIA))
    wanted = STATUS in theirs.tables() or tables.exists(location)
    if wanted and tables.exists(labels) and tables.exists(media):
        read = read_label_states(tables.open(labels), tables.open(media))
        put_label_states(tables, location, *read)


def _held_back(
    base_view: pa.Table,
    view: pa.Table,
    base: Table | None,
    theirs: Table,
    streams: tuple[Stream, ...],
) -> pa.Table:
    """Their slim view with the rows of ``streams`` as the base has them: no change of theirs."""
    where = " OR ".join(f"(source = {_sql(s)} AND stream = {_sql(t)})" for s, t in streams)
    ids = [t.scan(["row_id"], where=where).read_all()["row_id"] for t in (base, theirs) if t]
    out = pa.concat_arrays(
        [c for column in ids for c in column.chunks] or [pa.array([], pa.string())]
    )
    kept = view.filter(pc.invert(pc.is_in(view["row_id"], value_set=out)))
    back = base_view.filter(pc.is_in(base_view["row_id"], value_set=out))
    return pa.concat_tables([kept, back], promote_options="default")


def _our_changes(
    base: Snapshot | None, into: Workspace, here: set[str], theirs: Mapping[str, FileChange]
) -> set[str]:
    """Paths that main changed since the base, as far as theirs can clash with them.

    Bytes are compared of files that theirs changed, and of the state files of their streams: other
    files of a stream are immutable parts.
    """
    if base is None:
        return here
    before = set(base.list())
    streams = {stream_of(path) for path in theirs} - {None}
    changed = before ^ here
    for path in before & here:
        is_state = stream_of(path) in streams and path.endswith((_STATE, _MANIFEST))
        if (path in theirs or is_state) and base.read(path) != into.read(path):
            changed.add(path)
    return changed


def _own_id(run_id: str) -> str:
    """The run's id, without the number of its replay."""
    match = _REPLAY.fullmatch(run_id)
    return match[1] if match else run_id


def _next_id(run_id: str) -> str:
    match = _REPLAY.fullmatch(run_id)
    return f"{match[1]}.r{int(match[2]) + 1}" if match else f"{run_id}.r1"


def _sql(text: str) -> str:
    if "\0" in text:
        raise InputError(f"{text!r} holds a NUL character; rename the source or stream")
    return "'" + text.replace("'", "''") + "'"


def _lance() -> TableStore:
    from trainset.tables.lance_store import LanceTableStore

    return LanceTableStore()
