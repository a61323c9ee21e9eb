"""``LakeFSCommits``: the commits of a home on lakeFS as its readers see them.

A run's commit reaches main by a merge commit of its own; what the log shows are those merge
commits, with the run's message and metadata. The home's set-up is no commit of the dataset.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from trainset.errors import NotFound
from trainset.model import Commit
from trainset.stores.s3 import S3Store
from trainset.versions.base import MAIN
from trainset.versions.lakefs.files import RefFiles
from trainset.versions.lakefs.names import decode_name, encode_name
from trainset.versions.lakefs.objects import Repository
from trainset.versions.lakefs.refs import RawCommit
from trainset.versions.lakefs.snapshot import LakeFSSnapshot

MERGED = "merged"  # metadata: the tip of a branch that was merged by row, a parent in spirit
RUN_ID, FIRST, SETUP = "trainset.run", "trainset.first", "trainset.setup"
_INTERNAL = ("trainset.", ".lakefs.")


class LakeFSCommits:
    """Finding and reading commits.

    Args:
        cache: local folder for files that are fetched.
    Attributes:
        gateway: the repository's S3 gateway; keys begin with a ref.
    """

    def __init__(self, repository: Repository, cache: Path) -> None:
        self.repository, self.cache = repository, cache
        self.gateway = S3Store(repository.name, "", repository.access.gateway())

    def files(self, ref: str, *, where: str) -> RefFiles:
        """Tables and files at a commit id or a lakeFS branch."""
        return RefFiles(self.repository, self.gateway, ref, cache=self.cache, where=where)

    def resolve(self, ref: str) -> Commit:
        raw = self._find(ref)
        if raw is None or is_setup(raw):
            raise self.unknown_ref(ref)
        return self.public(raw, self.repository.tags())

    def head(self) -> Commit | None:
        raw = self._find(MAIN)
        return None if raw is None or is_setup(raw) else self.public(raw, self.repository.tags())

    def snapshot(self, ref: str) -> LakeFSSnapshot:
        commit = self.resolve(ref)
        return LakeFSSnapshot(commit, self.files(commit.id, where=f"commit {commit.id[:12]}"))

    def log(self, ref: str = MAIN) -> Iterator[Commit]:
        if ref == MAIN and self.head() is None:
            return
        start, tags = self.resolve(ref).id, self.repository.tags()
        for raw in self.repository.log(start, first_parent=True):
            if is_setup(raw):
                return
            yield self.public(raw, tags)

    def commit_of(self, commit: str) -> Commit | None:
        """A commit by its whole id; None for the home's set-up."""
        raw = self.repository.commit(commit)
        return None if raw is None or is_setup(raw) else self.public(raw, self.repository.tags())

    def public(self, raw: RawCommit, tags: Mapping[str, str]) -> Commit:
        """The commit without what is ours or the server's alone."""
        return Commit(
            id=raw.id,
            parents=spirit_parents(raw),
            message=raw.message,
            metadata={k: v for k, v in raw.metadata.items() if not k.startswith(_INTERNAL)},
            created_at=raw.created_at,
            tags=tuple(sorted(name for name, at in tags.items() if at == raw.id)),
        )

    def unknown_ref(self, ref: str) -> NotFound:
        """The error for a name that is no ref; names close ones."""
        names = [decode_name(branch) for branch in self.repository.branches()]
        names = [*names, *self.repository.tags()]
        if self.head() is None:
            known = "there is no commit yet"
        else:
            close = difflib.get_close_matches(ref, names, n=3, cutoff=0.5) or sorted(names)[-5:]
            known = f"close to it: {', '.join(close)}"
        return NotFound(
            f"{ref!r} is no branch, tag or commit (8 digits or more) here; {known}; "
            "list them with 'trainset log'"
        )

    def _find(self, ref: str) -> RawCommit | None:
        at = self.repository.branch(encode_name(ref)) or self.repository.tag(ref)
        if at is None and ref != encode_name(ref) and re.fullmatch(r"\w[-\w]*", ref):
            at = self.repository.branch(ref)  # others named it
        if at is None and re.fullmatch(r"[0-9a-f]{8,64}", ref):
            at = ref
        return None if at is None else self.repository.commit(at)


def is_setup(raw: RawCommit) -> bool:
    """Whether the commit is from before the dataset's first: lakeFS's own, or the home's."""
    return not raw.parents or SETUP in raw.metadata


def spirit_parents(raw: RawCommit) -> tuple[str, ...]:
    """Parents as the dataset has them: the branch's last commit, and what was merged by row."""
    if RUN_ID not in raw.metadata:
        return raw.parents  # made by another tool
    merged = raw.metadata.get(MERGED)
    before = () if FIRST in raw.metadata else raw.parents[:1]
    return (*before, *([merged] if merged else []))
