"""``GitSnapshot``: one commit, read only, in place where it is on main's line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trainset.errors import NotFound
from trainset.model import Commit
from trainset.stores.base import ObjectStore
from trainset.tables.base import TableLocation
from trainset.versions.base import FileCheck
from trainset.versions.check import check_pointers, check_small
from trainset.versions.checkout import checkout_table
from trainset.versions.durable import write_whole
from trainset.versions.pool import FilePool
from trainset.versions.tree import TABLES, CommitTree, manifest_name, missing_file, missing_table


class GitSnapshot:
    """See ``Snapshot``.

    Args:
        in_place: the commit is on main's line, so that its versions are those of the home's tables.
        checkouts: folder for copies of commits that are not.
    """

    def __init__(
        self,
        commit: Commit,
        tree: CommitTree,
        store: ObjectStore,
        pool: FilePool,
        *,
        in_place: bool,
        checkouts: Path,
    ) -> None:
        self.commit = commit
        self._tree, self._store, self._pool = tree, store, pool
        self._in_place, self._checkout = in_place, checkouts / commit.id

    def tables(self) -> Sequence[str]:
        return list(self._tree.tables)

    def table(self, name: str) -> TableLocation:
        version = self._tree.tables.get(name)
        if version is None:
            raise missing_table(name, f"commit {self.commit.id[:12]}", self._tree.tables)
        if self._in_place and self._is_published(f"{TABLES}{name}/{manifest_name(version)}"):
            return TableLocation(
                uri=self._store.uri(TABLES + name),
                version=version,
                storage_options=self._store.storage_options(),
            )
        target = self._checkout / TABLES / name
        checkout_table(self._tree, name, self._pool, target)
        return TableLocation(uri=str(target), version=version)

    def _is_published(self, manifest: str) -> bool:
        """Whether the home holds the commit's own manifest.

        A killed merge may have left it unpublished, two that raced each theirs under one name, and
        a reader without the right to write cannot mend that.
        """
        try:
            return self._store.get(manifest) == self._tree.read(manifest)
        except NotFound:
            return False

    def read(self, path: str) -> bytes:
        if (data := self._tree.read(path)) is not None:
            return data
        return self.fetch(path).read_bytes()

    def fetch(self, path: str) -> Path:
        if (pointer := self._tree.pointer(path)) is not None:
            return self._pool.fetch(pointer)
        if (data := self._tree.read(path)) is None:
            raise missing_file(path, f"commit {self.commit.id[:12]}", self._tree.list())
        local = self._checkout / "files" / path
        if not local.exists():
            write_whole(local, data)
        return local

    def list(self, prefix: str = "") -> Sequence[str]:
        return self._tree.list(prefix)

    def check_files(self) -> Iterator[FileCheck]:
        """See ``Snapshot``. Small files lie in git, which compares their hash as it reads them."""
        yield from check_small(self._tree)
        yield from check_pointers(self._store, self._tree.all_pointers())
