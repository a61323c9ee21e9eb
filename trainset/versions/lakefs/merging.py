"""Merging a branch by row, and rolling main back, on lakeFS.

Both are runs of their own: changes go on a fresh branch from the target, which then merges as every
run does. The server's own merge strategies and its revert work on files: they would take one side's
manifest of a table, or drop one that a run under way builds upon.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

from trainset.errors import InputError
from trainset.model import Commit
from trainset.tables.lance_store import LanceTableStore
from trainset.versions.base import FileChange, MainMoved
from trainset.versions.lakefs.ancestry import common_ancestor
from trainset.versions.lakefs.files import MEDIA, user_files
from trainset.versions.lakefs.links import as_links, link_branch, list_links
from trainset.versions.lakefs.names import INTERNAL
from trainset.versions.lakefs.objects import Change
from trainset.versions.lakefs.snapshot import LakeFSSnapshot
from trainset.versions.lakefs.workspace import LakeFSWorkspace
from trainset.versions.replay import take_changes

if TYPE_CHECKING:
    from trainset.versions.lakefs.store import LakeFSVersions

ATTEMPTS = 20  # others may move the target meanwhile; each attempt begins at its newest commit


def merge_branch(versions: LakeFSVersions, source: str, into: str, *, message: str) -> Commit:
    """See ``VersionStore.merge``. A source that holds nothing new gives the tip of ``into``."""
    theirs = versions.resolve(source)
    for attempt in range(1, ATTEMPTS + 1):
        run = versions.begin(_internal_id("merge"), base=into)
        try:
            fork = None if run.base is None else common_ancestor(versions, theirs.id, run.base.id)
            if run.base is not None and fork == theirs.id:
                return run.base
            base = None if fork is None else versions.snapshot(fork)
            snapshot = versions.snapshot(theirs.id)
            take_changes(
                base,
                snapshot,
                run,
                changes=_file_changes(versions, base, snapshot),
                keep=snapshot,
            )
            _carry_links(versions, run, fork, theirs.id)
            text = message or f"Merge {source} into {into}"
            run.commit(text, {}, merged=theirs.id)
            return run.merge()
        except MainMoved:
            if attempt == ATTEMPTS:
                raise
        finally:
            run.discard()
    raise AssertionError("unreachable")


def roll_back(versions: LakeFSVersions, ref: str, *, message: str) -> Commit:
    """See ``VersionStore.rollback``.

    A table that ``ref`` did not have yet is emptied, not removed: its version numbers only grow, so
    that no run that began before the rollback can merge past it.
    """
    target = versions.snapshot(ref)
    if target.commit.id not in (commit.id for commit in versions.log()):
        raise InputError(
            f"{ref} ({target.commit.id[:12]}) is no commit of main; merge it instead, or name one "
            "that 'trainset log' shows"
        )
    for attempt in range(1, ATTEMPTS + 1):
        run = versions.begin(_internal_id("rollback"))
        try:
            assert run.base is not None, "the target is on main, so main has a commit"
            if run.base.id == target.commit.id:
                return run.base
            _restore(versions, run, target)
            _carry_links(versions, run, run.base.id, target.commit.id)
            text = message or f"Roll back to {ref}"
            if run.commit(text, {"rolled_back_to": target.commit.id}) is None:
                return run.base
            return run.merge()
        except MainMoved:
            if attempt == ATTEMPTS:
                raise
        finally:
            run.discard()
    raise AssertionError("unreachable")


def _restore(versions: LakeFSVersions, run: LakeFSWorkspace, target: LakeFSSnapshot) -> None:
    assert run.base is not None
    now, store = versions.snapshot(run.base.id), LanceTableStore()
    for name, version in now.versions.items():
        table = store.open(run.table(name))
        if name not in target.versions:
            table.delete("true")
        elif target.versions[name] != version:  # on main's line one number is one state
            table.restore(target.versions[name])
    for path, how in _file_changes(versions, now, target).items():
        if how == "removed":
            run.remove(path)
        elif how == "written":
            run.write(path, target.read(path))
        else:
            run.put_file(path, target.fetch(path))


def _carry_links(
    versions: LakeFSVersions, run: LakeFSWorkspace, before: str | None, after: str
) -> None:
    """Link and unlink on the run's branch what commit ``after`` does against ``before``."""
    repository = versions.repository
    if before is not None and next(repository.changed(before, after, MEDIA), None) is None:
        return
    there = () if before is None else list_links(repository, before)
    link_branch(versions, run.branch, there, as_links(list_links(repository, after)))


def _file_changes(
    versions: LakeFSVersions, before: LakeFSSnapshot | None, after: LakeFSSnapshot
) -> dict[str, FileChange]:
    """How files beside the tables differ between two commits."""
    if before is None:
        return dict.fromkeys(after.list(), "put")
    left, right = before.commit.id, after.commit.id

    def listing(prefix: str, folders: bool) -> Iterator[Change]:
        return versions.repository.changed(left, right, prefix, folders=folders)

    return {change.path: change.kind for change in user_files(listing)}


def _internal_id(what: str) -> str:
    return f"{INTERNAL}{what}-{secrets.token_hex(4)}"
