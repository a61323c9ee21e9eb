"""``GitVersions``: the version store whose commits are git objects inside the home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from trainset.errors import AccessDenied, InputError
from trainset.model import Commit
from trainset.versions.base import MAIN, Snapshot
from trainset.versions.forks import heal_forks
from trainset.versions.merging import merge_branch, roll_back
from trainset.versions.refs import HEADS, TAGS, RefMoved, check_name
from trainset.versions.runs import RunBranches
from trainset.versions.snapshot import GitSnapshot
from trainset.versions.store import unknown_ref


class GitVersions(RunBranches):
    """See ``VersionStore``."""

    def head(self) -> Commit | None:
        refs = self.refs()
        tip = refs.get(HEADS + MAIN)
        return None if tip is None else self.commit(tip, refs)

    def snapshot(self, ref: str) -> Snapshot:
        refs = self.refs()
        commit = self.find(ref, refs)
        return self._snapshot(
            commit, in_place=commit.id in self.repository.line(refs.get(HEADS + MAIN))
        )

    def snapshots(self, commits: Sequence[str]) -> Iterator[Snapshot]:
        """As ``snapshot`` of each commit id, with one look at the refs."""
        refs = self.refs()
        line = set(self.repository.line(refs.get(HEADS + MAIN)))
        for commit in commits:
            yield self._snapshot(self.commit(commit, refs), in_place=commit in line)

    def _snapshot(self, commit: Commit, *, in_place: bool) -> Snapshot:
        return GitSnapshot(
            commit,
            self.tree(commit.id),
            self.home.store,
            self.pool,
            in_place=in_place,
            checkouts=self.home.state / "checkouts",
        )

    def repair(self) -> None:
        """As ``RunBranches.repair``; heals forks of other machines as well."""
        super().repair()
        with self.lock.if_free() as held, suppress(AccessDenied):  # a reader's key heals nothing
            if held:
                heal_forks(self)

    def on_main(self, commit: str) -> bool:
        """Whether main ever stood at ``commit``: then its table versions are the home's."""
        return commit in self.repository.line(self.refs().get(HEADS + MAIN))

    def forget_checkouts(self, kept: Sequence[str]) -> None:
        """Remove the copies that were made of other commits; in a folder they hold its files."""
        for folder in (self.home.state / "checkouts").glob("*"):
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def log(self, ref: str = MAIN) -> Iterator[Commit]:
        refs = self.refs()
        if ref == MAIN and HEADS + MAIN not in refs:
            return
        for commit in self.repository.line(self.find(ref, refs).id):
            yield self.commit(commit, refs)

    def branches(self) -> Mapping[str, str]:
        heads = {n.removeprefix(HEADS): c for n, c in self.refs().items() if n.startswith(HEADS)}
        return {n: c for n, c in sorted(heads.items()) if not n.startswith("run/")}

    def tags(self) -> Mapping[str, str]:
        tags = {n.removeprefix(TAGS): c for n, c in self.refs().items() if n.startswith(TAGS)}
        return dict(sorted(tags.items()))

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
            self.moving.move(HEADS + name, self.resolve(at).id, expected=None)

    def delete_branch(self, name: str) -> None:
        if name == MAIN:
            raise InputError("main cannot be deleted; roll it back to an older commit instead")
        with self.lock:
            if name not in self.branches():
                raise unknown_ref(name, self.refs())
            self.moving.delete(HEADS + name)

    def tag(self, name: str, ref: str = MAIN) -> str:
        """See ``VersionStore.tag``. A name that is on this very commit already is used again."""
        check_name("tag", name)
        with self.lock:
            commit, taken, number = self.resolve(ref).id, self.tags(), 1
            while True:
                used = name if number == 1 else f"{name}.{number}"
                if used in taken:
                    if taken[used] == commit:
                        return used
                else:
                    # RefMoved: another machine took the name at this very moment.
                    with suppress(RefMoved):
                        self.moving.move(TAGS + used, commit, expected=None)
                        return used
                number += 1

    def merge(self, source: str, into: str = MAIN, *, message: str = "") -> Commit:
        return merge_branch(self, source, into, message=message)

    def rollback(self, ref: str, *, message: str = "") -> Commit:
        return roll_back(self, ref, message=message)
