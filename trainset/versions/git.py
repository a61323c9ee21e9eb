"""``GitVersions``: the version store whose commits are git objects inside the home."""

from __future__ import annotations

import difflib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from trainset.errors import AccessDenied, InputError, NotFound
from trainset.home import Home
from trainset.model import Commit
from trainset.versions import workspace as work
from trainset.versions.base import MAIN, MainMoved, Snapshot
from trainset.versions.bucket import BucketRefs, PackMirror
from trainset.versions.locks import StoreLock
from trainset.versions.pool import FilePool, Pointer
from trainset.versions.publish import publish
from trainset.versions.refs import HEADS, RUNS, TAGS, FolderRefs, RefMoved, Refs, check_name
from trainset.versions.repository import Repository
from trainset.versions.snapshot import GitSnapshot
from trainset.versions.tree import CommitTree
from trainset.versions.workspace import GitWorkspace

if TYPE_CHECKING:
    from trainset.tables.base import TableStore

INTERNAL = "internal-"  # run ids of merges and rollbacks; they live only while the lock is held


class GitVersions:
    """See ``VersionStore``. Git objects lie in ``HOME/repo.git``; of a bucket there is a mirror.

    Args:
        home: a folder or a bucket.
        tables: opens the tables of work trees; None: Lance.
    """

    def __init__(self, home: Home, tables: TableStore | None = None) -> None:
        self.home = home
        self._given_tables = tables
        self.lock = StoreLock(home.state / "versions.lock")
        folder = home.store.local_path("repo.git")
        place = folder if folder is not None else home.state / "repo.git"
        self.repository = Repository(place, home.state / "scratch-git", self.lock)
        self._refs: Refs
        self._mirror: PackMirror | None = None
        if folder is not None:
            self._refs = FolderRefs(place, self.lock)
        else:
            self._refs = BucketRefs(home.store, self.lock, home.state / "refs.json")
            self._mirror = PackMirror(home.store, self.repository.packs)
        self._pool = FilePool(home.store, home.state / "cache" / "files")

    @cached_property
    def tables(self) -> TableStore:
        """The table engine of work trees."""
        if self._given_tables is not None:
            return self._given_tables
        from trainset.tables.lance_store import LanceTableStore

        return LanceTableStore()

    def refs(self) -> Mapping[str, str]:
        """All refs as they are now; the objects behind them are here when it returns."""
        found = self._refs.all()
        if self._mirror and any(not self.repository.has(c) for c in found.values()):
            self._mirror.pull()
        return found

    def tree(self, commit: str | None) -> CommitTree:
        return CommitTree(self.repository, commit)

    def repair(self) -> None:
        """Finish what a killed process left: publish main, end runs that are merged already.

        Does nothing while another process holds the lock: that one is alive and finishes its own.
        """
        with self.lock.if_free() as held:
            if not held:
                return
            refs = self.refs()
            tip = refs.get(HEADS + MAIN)
            if tip is not None:
                try:
                    publish(self.home.store, self.repository, tip)
                except AccessDenied:
                    return  # a reader's key: snapshots then fall back on checkouts
            for run in self._runs(refs):
                if run.startswith(INTERNAL) or self._is_merged(run, refs):
                    self.end_run(run)

    def _is_merged(self, run: str, refs: Mapping[str, str]) -> bool:
        # The record knows the run's commit, too: another machine may have dropped its ref.
        record = work.read_record(self._run_folder(run)) or {}
        tips = {refs.get(RUNS + run), record.get("tip")} - {None}
        branch = HEADS + (record.get("branch") or MAIN)
        return any(commit in tips for commit in self.repository.line(refs.get(branch)))

    # --- reading

    def resolve(self, ref: str) -> Commit:
        return self._resolve(ref, self.refs())

    def _resolve(self, ref: str, refs: Mapping[str, str]) -> Commit:
        found = refs.get(HEADS + ref) or refs.get(TAGS + ref)
        if found is None and re.fullmatch(r"[0-9a-f]{8,40}", ref):
            found = self.repository.find(ref)
        if found is None:
            raise _unknown_ref(ref, refs)
        return self._commit(found, refs)

    def head(self) -> Commit | None:
        refs = self.refs()
        tip = refs.get(HEADS + MAIN)
        return None if tip is None else self._commit(tip, refs)

    def snapshot(self, ref: str) -> Snapshot:
        refs = self.refs()
        commit = self._resolve(ref, refs)
        return GitSnapshot(
            commit,
            self.tree(commit.id),
            self.home.store,
            self._pool,
            in_place=commit.id in self.repository.line(refs.get(HEADS + MAIN)),
            checkouts=self.home.state / "checkouts",
        )

    def on_main(self, commit: str) -> bool:
        """Whether main ever stood at ``commit``: then its table versions are the home's."""
        return commit in self.repository.line(self.refs().get(HEADS + MAIN))

    def log(self, ref: str = MAIN) -> Iterator[Commit]:
        refs = self.refs()
        if ref == MAIN and HEADS + MAIN not in refs:
            return
        for commit in self.repository.line(self._resolve(ref, refs).id):
            yield self._commit(commit, refs)

    def branches(self) -> Mapping[str, str]:
        heads = {n.removeprefix(HEADS): c for n, c in self.refs().items() if n.startswith(HEADS)}
        return {n: c for n, c in sorted(heads.items()) if not n.startswith("run/")}

    def tags(self) -> Mapping[str, str]:
        tags = {n.removeprefix(TAGS): c for n, c in self.refs().items() if n.startswith(TAGS)}
        return dict(sorted(tags.items()))

    def _commit(self, commit: str, refs: Mapping[str, str]) -> Commit:
        tags = (n.removeprefix(TAGS) for n, c in refs.items() if c == commit and n.startswith(TAGS))
        return self.repository.commit(commit).model_copy(update={"tags": tuple(sorted(tags))})

    # --- names

    def create_branch(self, name: str, at: str = MAIN) -> None:
        if check_name("branch", name).split("/")[0] in (MAIN, "run"):
            raise InputError(f"{name!r} is kept for trainset itself; choose another branch name")
        with self.lock:
            taken = [n for n in self.branches() if f"{n}/".startswith(f"{name}/")]
            taken += [n for n in self.branches() if f"{name}/".startswith(f"{n}/")]
            if taken:
                raise InputError(
                    f"branch {taken[0]!r} exists, {name!r} cannot; choose another name or delete it"
                )
            self._refs.move(HEADS + name, self.resolve(at).id, expected=None)

    def delete_branch(self, name: str) -> None:
        if name == MAIN:
            raise InputError("main cannot be deleted; roll it back to an older commit instead")
        with self.lock:
            if name not in self.branches():
                raise _unknown_ref(name, self.refs())
            self._refs.delete(HEADS + name)

    def tag(self, name: str, ref: str = MAIN) -> str:
        """See ``VersionStore.tag``. A name that is on this very commit already is used again."""
        check_name("tag", name)
        with self.lock:
            commit, taken, used, number = self.resolve(ref).id, self.tags(), name, 1
            while used in taken and taken[used] != commit:
                number += 1
                used = f"{name}.{number}"
            if used not in taken:
                self._refs.move(TAGS + used, commit, expected=None)
            return used

    # --- runs

    def begin(self, run_id: str, *, base: str = MAIN) -> GitWorkspace:
        check_name("run", run_id)
        folder = self._run_folder(run_id)
        record = work.read_record(folder)
        if record is None:
            refs = self.refs()
            if base != MAIN and HEADS + base not in refs:
                raise _unknown_ref(base, refs)
            record = work.make_record(folder, base=refs.get(HEADS + base), branch=base)
        else:
            work.tidy(folder)
            self.refs()  # brings the objects of a base that this machine has not seen
        return GitWorkspace(
            self,
            run_id=run_id,
            folder=folder,
            base=self.repository.commit(record["base"]) if record["base"] else None,
            branch=str(record["branch"]),
            tree=self.tree(record["base"]),
            pool=self._pool,
            tables=self.tables,
        )

    def runs(self) -> Sequence[str]:
        return self._runs(self.refs())

    def _runs(self, refs: Mapping[str, str]) -> Sequence[str]:
        committed = {n.removeprefix(RUNS) for n in refs if n.startswith(RUNS)}
        root = self.home.state / "runs"
        begun = {p.parent.relative_to(root).as_posix() for p in root.rglob(work.RECORD)}
        return sorted(committed | begun)

    def _run_folder(self, run_id: str) -> Path:
        return self.home.state / "runs" / run_id

    def commit_run(
        self,
        run: GitWorkspace,
        changes: Mapping[str, bytes | None],
        message: str,
        metadata: Mapping[str, str],
        merged: str | None,
    ) -> Commit | None:
        """Write the run's commit, with ``merged`` as second parent, and move its branch there."""
        base = run.base.id if run.base else None
        real = {p: d for p, d in changes.items() if d != self._held(base, p)}
        with self.lock:
            if not real and merged is None:
                self._refs.delete(RUNS + run.run_id)
                return None
            commit = self.repository.write_commit(
                tree_of=base,
                changes=real,
                parents=[parent for parent in (base, merged) if parent],
                message=message,
                metadata=metadata,
                at=datetime.now(UTC),
            )
            if self._mirror:
                self._mirror.push()
            work.note_tip(run.folder, commit)
            before = self._refs.all().get(RUNS + run.run_id)
            self._refs.move(RUNS + run.run_id, commit, expected=before)
        return self.repository.commit(commit)

    def _held(self, commit: str | None, path: str) -> bytes | None:
        return None if commit is None else self.repository.read(commit, path)

    def merge_run(self, run: GitWorkspace) -> Commit:
        """Move the run's branch of origin to its commit; publish; end the run."""
        with self.lock:
            refs = self.refs()
            tip, target = refs.get(RUNS + run.run_id), HEADS + run.branch
            if tip is None:
                raise InputError(f"run {run.run_id} has no commit to merge; commit it first")
            found, base = refs.get(target), run.base.id if run.base else None
            if tip not in self.repository.line(found):
                try:
                    self._refs.move(target, tip, expected=base)
                except RefMoved as err:
                    raise MainMoved(base or "nothing", err.found or "nothing") from err
            if run.branch == MAIN:
                publish(self.home.store, self.repository, self.refs()[target])
            self.end_run(run.run_id)
            return self._commit(tip, self.refs())

    def end_run(self, run_id: str) -> None:
        """Drop a run's branch and work tree."""
        with self.lock:
            self._refs.delete(RUNS + run_id)
            folder = self._run_folder(run_id)
            # First the record: what a kill leaves of the folder must not look like a work tree.
            (folder / work.RECORD).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)

    def pinned_by(self, pointer: Pointer, run_id: str) -> str | None:
        """A commit, not of this run, that pins other bytes at ``pointer.path``; else None."""
        todo = [c for name, c in self.refs().items() if name != RUNS + run_id]
        seen: set[str] = set()
        while todo:
            commit = todo.pop()
            if commit in seen:
                continue
            seen.add(commit)
            held = self.tree(commit).pointer(pointer.path)
            if held is not None and held.sha256 != pointer.sha256:
                return f"commit {commit[:12]}"
            todo += self.repository.commit(commit).parents
        return None

    # --- merging

    def merge(self, source: str, into: str = MAIN, *, message: str = "") -> Commit:
        from trainset.versions.merging import merge_branch

        return merge_branch(self, source, into, message=message)

    def rollback(self, ref: str, *, message: str = "") -> Commit:
        from trainset.versions.merging import roll_back

        return roll_back(self, ref, message=message)


def _unknown_ref(ref: str, refs: Mapping[str, str]) -> NotFound:
    names = [n.removeprefix(HEADS).removeprefix(TAGS) for n in refs]
    close = difflib.get_close_matches(ref, names, n=3, cutoff=0.5) or sorted(names)[-5:]
    known = f"close to it: {', '.join(close)}" if close else "there is no commit yet"
    return NotFound(
        f"{ref!r} is no branch, tag or commit (8 digits or more) here; {known}; "
        "list them with 'trainset log'"
    )
