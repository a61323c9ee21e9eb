"""``RunBranches``: the life of a run on the git store: begin, commit, merge, end, and repair."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from trainset.errors import AccessDenied, InputError
from trainset.model import Commit
from trainset.versions import workspace as work
from trainset.versions.base import MAIN, MainMoved
from trainset.versions.pool import Pointer
from trainset.versions.publish import publish
from trainset.versions.refs import HEADS, RUNS, RefMoved, check_name
from trainset.versions.store import GitStore, unknown_ref
from trainset.versions.workspace import GitWorkspace

INTERNAL = "internal-"  # run ids of merges and rollbacks; they live only while the lock is held


class RunBranches(GitStore):
    """Work trees lie in the home's local state, one folder a run."""

    def begin(self, run_id: str, *, base: str = MAIN) -> GitWorkspace:
        check_name("run", run_id)
        folder = self._run_folder(run_id)
        record = work.read_record(folder)
        if record is None:
            refs = self.refs()
            if base != MAIN and HEADS + base not in refs:
                raise unknown_ref(base, refs)
            fork, tip = refs.get(HEADS + base), refs.get(RUNS + run_id)
            if tip is not None:  # another machine's run: only its commit can be seen here
                fork = next(iter(self.repository.commit(tip).parents), None)
            record = work.make_record(folder, base=fork, branch=base)
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
            pool=self.pool,
            tables=self.tables,
        )

    def runs(self) -> Sequence[str]:
        return self._runs(self.refs())

    def _runs(self, refs: Mapping[str, str]) -> Sequence[str]:
        committed = {n.removeprefix(RUNS) for n in refs if n.startswith(RUNS)}
        return sorted(committed | set(work.find_records(self.home.state / "runs")))

    def is_silent(self, run_id: str, *, since: datetime) -> bool:
        """See ``VersionStore``. Of another machine's run a bucket has the commit only."""
        tip = self.refs().get(RUNS + run_id)
        if tip is not None and self.repository.commit(tip).created_at >= since:
            return False
        # A folder's time is that of its youngest name, and nothing is written under an old one.
        for folder, _, _ in os.walk(self._run_folder(run_id)):
            with suppress(FileNotFoundError):  # it is at work this very moment
                if os.stat(folder).st_mtime >= since.timestamp():
                    return False
        return True

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
                self.moving.delete(RUNS + run.run_id)
                return None
            commit = self.repository.write_commit(
                tree_of=base,
                changes=real,
                parents=[parent for parent in (base, merged) if parent],
                message=message,
                metadata=metadata,
                at=datetime.now(UTC),
            )
            if self.mirror:
                self.mirror.push()
            work.note_tip(run.folder, commit)
            before = self.moving.all().get(RUNS + run.run_id)
            self.moving.move(RUNS + run.run_id, commit, expected=before)
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
                    self.moving.move(target, tip, expected=base)
                except RefMoved as err:
                    raise MainMoved(base or "nothing", err.found or "nothing") from err
            if run.branch == MAIN:
                publish(self.home.store, self.repository, self.refs()[target])
            # Once more before it is said: an older version of the ref may have shown meanwhile.
            found = self.refs().get(target)
            if tip not in self.repository.line(found):
                self.moving.withdraw(target, tip)
                if run.branch == MAIN and found is not None:
                    publish(self.home.store, self.repository, found, since=base)
                raise MainMoved(base or "nothing", found or "nothing")
            self.end_run(run.run_id)
            return self.commit(tip, self.refs())

    def discard_run(self, run: GitWorkspace) -> None:
        """End a run that was not merged; its machine may be another."""
        with self.lock:
            record = work.read_record(run.folder) or {}
            tips = {record.get("tip"), self.refs().get(RUNS + run.run_id)} - {None}
            for name, commit in list(self.moving.forks()) if tips else ():
                if commit in tips:
                    self.moving.withdraw(name, commit)
            self.end_run(run.run_id)

    def end_run(self, run_id: str) -> None:
        """Drop a run's branch and work tree."""
        with self.lock:
            self.moving.delete(RUNS + run_id)
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
                here = work.read_record(self._run_folder(run)) is not None
                if self._is_merged(run, refs):
                    self.end_run(run)
                elif run.startswith(INTERNAL) and here:  # else another machine's, at work
                    self.begin(run).discard()

    def _is_merged(self, run: str, refs: Mapping[str, str]) -> bool:
        # The record knows the run's commit, too: another machine may have dropped its ref.
        record = work.read_record(self._run_folder(run)) or {}
        tips = {refs.get(RUNS + run), record.get("tip")} - {None}
        branch = HEADS + (record.get("branch") or MAIN)
        return any(commit in tips for commit in self.repository.line(refs.get(branch)))
