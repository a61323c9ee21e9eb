"""Merging a branch by row, and rolling main back, on the git store."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from trainset.errors import InputError
from trainset.model import Commit
from trainset.versions.base import MAIN, FileChange, MainMoved, Snapshot
from trainset.versions.replay import take_changes
from trainset.versions.runs import INTERNAL
from trainset.versions.tree import CommitTree
from trainset.versions.workspace import GitWorkspace

if TYPE_CHECKING:
    from trainset.versions.git import GitVersions

ATTEMPTS = 5  # main may be moved meanwhile by another machine on the same bucket


def merge_branch(versions: GitVersions, source: str, into: str, *, message: str) -> Commit:
    """See ``VersionStore.merge``. A source that holds nothing new gives the tip of ``into``."""
    for attempt in range(1, ATTEMPTS + 1):
        with versions.lock:
            theirs, ours = versions.resolve(source), versions.resolve(into)
            fork = versions.repository.merge_base(theirs.id, ours.id)
            if fork == theirs.id:
                return ours
            run = versions.begin(_internal_id("merge"), base=into)
            try:
                base = None if fork is None else versions.snapshot(fork)
                snapshot = versions.snapshot(theirs.id)
                changes = _file_changes(versions.tree(fork), versions.tree(theirs.id))
                take_changes(
                    base, snapshot, run, changes=changes, tables=versions.tables, keep=snapshot
                )
                text = message or f"Merge {source} into {into}"
                run.commit(text, {"merged": theirs.id}, merged=theirs.id)
                return run.merge()
            except MainMoved:
                if attempt == ATTEMPTS:
                    raise
            finally:
                run.discard()
    raise AssertionError("unreachable")


def roll_back(versions: GitVersions, ref: str, *, message: str) -> Commit:
    """See ``VersionStore.rollback``.

    A table that ``ref`` did not have yet is emptied, not removed: its version numbers go on, so
    that every commit of main stays readable in place.
    """
    for attempt in range(1, ATTEMPTS + 1):
        with versions.lock:
            target, tip = versions.resolve(ref), versions.resolve(MAIN)
            if not versions.on_main(target.id):
                raise InputError(
                    f"{ref} ({target.id[:12]}) is no commit of main; merge it instead, or name one "
                    "that 'trainset log' shows"
                )
            if versions.repository.tree_id(target.id) == versions.repository.tree_id(tip.id):
                return tip
            run = versions.begin(_internal_id("rollback"))
            try:
                _restore(versions, run, versions.snapshot(target.id))
                text = message or f"Roll back to {ref}"
                if run.commit(text, {"rolled_back_to": target.id}) is None:
                    return tip
                return run.merge()
            except MainMoved:
                if attempt == ATTEMPTS:
                    raise
            finally:
                run.discard()
    raise AssertionError("unreachable")


def _restore(versions: GitVersions, run: GitWorkspace, snapshot: Snapshot) -> None:
    target = versions.tree(snapshot.commit.id)
    for name in run.tables():
        if name in target.tables:
            run.restore_table(name, target)
        else:
            table = versions.tables.open(run.table(name))
            table.delete("true")
    now = versions.tree(run.base.id if run.base else None)
    for path, how in _file_changes(now, target).items():
        if how == "removed":
            run.remove(path)
        elif how == "written":
            run.write(path, target.read(path) or b"")
        else:
            run.put_file(path, snapshot.fetch(path))


def _file_changes(before: CommitTree, after: CommitTree) -> dict[str, FileChange]:
    """How files beside the tables differ between two commits."""
    changes: dict[str, FileChange] = {}
    old_small, new_small = before.small_files(), after.small_files()
    old_large, new_large = before.large_files(), after.large_files()
    for path in old_small.keys() | old_large.keys():
        if path not in new_small and path not in new_large:
            changes[path] = "removed"
    changes |= {p: "written" for p, blob in new_small.items() if old_small.get(p) != blob}
    changes |= {p: "put" for p, blob in new_large.items() if old_large.get(p) != blob}
    return dict(sorted(changes.items()))


def _internal_id(what: str) -> str:
    return f"{INTERNAL}{what}-{secrets.token_hex(4)}"
