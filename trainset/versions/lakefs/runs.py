"""``RunBranches``: the life of a run on lakeFS: begin, commit, merge, end, and repair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from trainset.errors import AccessDenied, InputError, NotFound
from trainset.home import CONFIG
from trainset.model import Commit
from trainset.versions.base import MAIN, MainMoved
from trainset.versions.lakefs.commits import FIRST, MERGED, RUN_ID, LakeFSCommits
from trainset.versions.lakefs.errors import NothingToDo, Taken
from trainset.versions.lakefs.files import NOTE, PROBE
from trainset.versions.lakefs.names import (
    INTERNAL,
    RUN,
    SETUP_RUN,
    branch_of_run,
    encode_name,
    is_helper,
    is_trial,
    run_of_branch,
    trial_of,
)
from trainset.versions.lakefs.objects import Entry
from trainset.versions.lakefs.workspace import LINKED, LakeFSWorkspace, Note

STALE = timedelta(days=1)  # an internal run this old was killed


class RunBranches(LakeFSCommits):
    """Runs are branches ``run-<id>``; a note on each says where it began."""

    def begin(self, run_id: str, *, base: str = MAIN) -> LakeFSWorkspace:
        branch = branch_of_run(run_id)
        note = self._note(branch)
        if note is None or note.run_id != run_id:
            into = encode_name(base)
            fork = self.repository.branch(into)
            if fork is None:
                raise self.unknown_ref(base)
            self.end_run(branch)  # a kill left it without its note, so nothing was written
            with suppress(Taken):  # another process of this run was quicker
                self.repository.create_branch(branch, fork)
            note = Note(run_id=run_id, fork=fork, into=into)
            self.gateway.put(f"{branch}/{NOTE}", note.encode())
        base_commit = self.commit_of(note.fork)
        return LakeFSWorkspace(self, branch=branch, note=note, base=base_commit)

    def runs(self) -> Sequence[str]:
        found = self.repository.branches(RUN)
        return sorted(run_of_branch(branch) for branch in found if not is_helper(branch))

    def is_silent(self, run_id: str, *, since: datetime) -> bool:
        """See ``VersionStore``; times are the server's."""
        branch = branch_of_run(run_id)
        tip = self.repository.branch(branch)
        raw = None if tip is None else self.repository.commit(tip)
        if raw is None:
            return False
        note = self._note(branch)
        if note is None or note.run_id != run_id:
            return self._held_nothing(branch, raw.id, since)
        if tip != note.fork and raw.created_at >= since:
            return False
        return all(entry.modified < since.timestamp() for entry in self._entries(branch))

    def _entries(self, branch: str) -> Iterator[Entry]:
        """All objects but media, the run's note first."""
        tops = self.repository.list(branch, folders=True)
        for top in sorted(tops, key=lambda top: not NOTE.startswith(top.path)):
            if top.is_folder and top.path != "media/":
                yield from self.repository.list(branch, top.path)

    def _held_nothing(self, branch: str, tip: str, since: datetime) -> bool:
        """Whether a branch that a kill left without its note holds nothing, and is old.

        A branch has no date of its own: it is older than the commit by which main left its tip.
        """
        later = None
        for commit in self.repository.log(MAIN, first_parent=True):
            if commit.id == tip:
                empty = not any(self.repository.staged(branch, most=1))
                return empty and later is not None and later.created_at < since
            later = commit
        return False

    def commit_run(
        self,
        run: LakeFSWorkspace,
        message: str,
        metadata: Mapping[str, str],
        merged: str | None,
    ) -> Commit:
        """Commit what is staged on the run's branch."""
        facts = {**metadata, RUN_ID: run.run_id}
        if merged is not None:
            facts[MERGED] = merged
        if run.base is None:
            facts[FIRST] = "yes"
        if run.linked:
            facts[LINKED] = "yes"
        made = self.repository.commit_branch(run.branch, message, facts)
        return self.public(made, {})

    def merge_run(self, run: LakeFSWorkspace) -> Commit:
        """Merge the run's branch into its branch of origin, if that did not move; end the run."""
        tip, into = self.repository.branch(run.branch), run.note.into
        if tip is None:
            raise InputError(f"run {run.run_id} has no branch any more; begin it again")
        if tip == run.note.fork:
            raise InputError(f"run {run.run_id} has no commit to merge; commit it first")
        if any(self.repository.staged(run.branch, most=1)):
            raise InputError(
                f"run {run.run_id} wrote after its commit, and a merge would leave that behind; "
                "commit again, then merge"
            )
        made = self._merged_as(tip, into) or self._merge(run, tip)
        self.end_run(run.branch)
        return self.resolve(made)

    def _merge(self, run: LakeFSWorkspace, tip: str) -> str:
        fork, into = run.note.fork, run.note.into
        self._check_unmoved(fork, into)
        commit = self.repository.commit(tip)
        assert commit is not None, "the branch is there, so is its commit"
        try:
            return self.repository.merge(run.branch, into, commit.message, commit.metadata)
        except Taken:
            self._check_unmoved(fork, into)
            raise
        except NothingToDo:  # the reply of an earlier try was lost
            if (made := self._merged_as(tip, into)) is None:
                raise
            return made

    def _check_unmoved(self, fork: str, into: str) -> None:
        now = self.repository.branch(into)
        if now != fork:
            raise MainMoved(fork, now or "nothing")

    def _merged_as(self, tip: str, into: str) -> str | None:
        """The commit of branch ``into`` that merged ``tip``, or None."""
        if self.repository.branch(into) is None or self.repository.merge_base(tip, into) != tip:
            return None
        line = self.repository.log(into, first_parent=True)
        return next((commit.id for commit in line if tip in commit.parents), None)

    def end_run(self, branch: str) -> None:
        """Drop a run's branch and what is staged on it; no error where it is gone."""
        self.repository.drop_branch(trial_of(branch))
        self.repository.drop_branch(branch)

    def repair(self) -> None:
        """End the runs that a killed process had merged, and internal ones that it left."""
        with suppress(AccessDenied):  # a reader's key
            found = self.repository.branches(RUN)
            for branch, tip in found.items():
                if not is_trial(branch) and self._is_over(branch, tip):
                    self.end_run(branch)
            runs = {trial_of(branch) for branch in found}
            for trial in filter(is_trial, found.keys() - runs):  # its run has ended
                self.repository.drop_branch(trial)

    def _is_over(self, branch: str, tip: str) -> bool:
        if branch.startswith(SETUP_RUN):
            return self._is_stale(branch, PROBE) or self._is_stale(branch, CONFIG)
        note = self._note(branch)
        if note is None or RUN + encode_name(note.run_id) != branch:
            return False  # just being begun, or not ours
        if tip != note.fork and self._merged_as(tip, note.into) is not None:
            return True
        return note.run_id.startswith(INTERNAL) and self._is_stale(branch, NOTE)

    def _is_stale(self, branch: str, path: str) -> bool:
        """Whether an object of a branch was written long before now; False where it is not."""
        entry = self.repository.stat(branch, path)
        return entry is not None and (
            datetime.now(UTC) - datetime.fromtimestamp(entry.modified, UTC) > STALE
        )

    def _note(self, branch: str) -> Note | None:
        try:
            return Note.model_validate_json(self.gateway.get(f"{branch}/{NOTE}"))
        except (NotFound, ValidationError):
            return None
