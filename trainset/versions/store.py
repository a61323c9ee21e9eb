"""``GitStore``: the open git store of a home, in a folder or a bucket, and finding commits."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from trainset.errors import NotFound
from trainset.home import Home
from trainset.model import Commit
from trainset.versions.bucket import BucketRefs, PackMirror
from trainset.versions.locks import StoreLock
from trainset.versions.pool import FilePool
from trainset.versions.refs import HEADS, TAGS, FolderRefs, Refs
from trainset.versions.repository import Repository
from trainset.versions.tree import CommitTree

if TYPE_CHECKING:
    from trainset.tables.base import TableStore


class GitStore:
    """Git objects lie in ``HOME/repo.git``; of a bucket there is a mirror.

    Args:
        home: a folder or a bucket.
        tables: opens the tables of work trees; None: Lance.
    Attributes:
        moving: the refs, to move them; ``refs()`` reads them.
    """

    def __init__(self, home: Home, tables: TableStore | None = None) -> None:
        self.home = home
        self._given_tables = tables
        self.lock = StoreLock(home.state / "versions.lock")
        folder = home.store.local_path("repo.git")
        place = folder if folder is not None else home.state / "repo.git"
        self.repository = Repository(place, home.state / "scratch-git", self.lock)
        self.moving: Refs
        self.mirror: PackMirror | None = None
        if folder is not None:
            self.moving = FolderRefs(place, self.lock)
        else:
            self.moving = BucketRefs(home.store, self.lock, home.state / "refs.json")
            self.mirror = PackMirror(home.store, self.repository.packs)
        self.pool = FilePool(home.store, home.state / "cache" / "files")

    @cached_property
    def tables(self) -> TableStore:
        """The table engine of work trees."""
        if self._given_tables is not None:
            return self._given_tables
        from trainset.tables.lance_store import LanceTableStore

        return LanceTableStore()

    def refs(self) -> Mapping[str, str]:
        """All refs as they are now; the objects behind them are here when it returns."""
        found = self.moving.all()
        if self.mirror and any(not self.repository.has(c) for c in found.values()):
            self.mirror.pull()
        return found

    def tree(self, commit: str | None) -> CommitTree:
        return CommitTree(self.repository, commit)

    def resolve(self, ref: str) -> Commit:
        return self.find(ref, self.refs())

    def find(self, ref: str, refs: Mapping[str, str]) -> Commit:
        """As ``resolve``, among refs that were read before."""
        found = refs.get(HEADS + ref) or refs.get(TAGS + ref)
        if found is None and re.fullmatch(r"[0-9a-f]{8,40}", ref):
            found = self.repository.find(ref)
        if found is None:
            raise unknown_ref(ref, refs)
        return self.commit(found, refs)

    def commit(self, commit: str, refs: Mapping[str, str]) -> Commit:
        """The commit with the tags that ``refs`` put on it."""
        tags = (n.removeprefix(TAGS) for n, c in refs.items() if c == commit and n.startswith(TAGS))
        return self.repository.commit(commit).model_copy(update={"tags": tuple(sorted(tags))})


def unknown_ref(ref: str, refs: Mapping[str, str]) -> NotFound:
    """The error for a name that is no ref; names close ones."""
    names = [n.removeprefix(HEADS).removeprefix(TAGS) for n in refs]
    close = difflib.get_close_matches(ref, names, n=3, cutoff=0.5) or sorted(names)[-5:]
    known = f"close to it: {', '.join(close)}" if close else "there is no commit yet"
    return NotFound(
        f"{ref!r} is no branch, tag or commit (8 digits or more) here; {known}; "
        "list them with 'trainset log'"
    )
