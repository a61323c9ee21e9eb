"""``RefFiles``: the tables and files at one ref of a lakeFS repository.

Tables lie at ``tables/<name>/``, ordinary Lance datasets that Lance reads and writes through the
S3 gateway; files lie at their paths. ``.trainset/`` holds what a reader has no use for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from trainset.errors import NotFound
from trainset.stores.s3 import S3Store
from trainset.tables.base import TableLocation
from trainset.versions.lakefs.objects import Entry, Repository
from trainset.versions.tree import TABLES, missing_file, missing_table

NOTE = ".trainset/run.json"  # on a branch: its run; on main: the run that moved it last
PROBE = ".trainset/probe"  # on a branch that sets a home up
MEDIA = "media/"
RESERVED = {TABLES, MEDIA, ".trainset/", "trainset.json"}
_MANIFEST = re.compile(r"(\d{20})\.manifest")


class _Listed(Protocol):
    @property
    def path(self) -> str: ...


T = TypeVar("T", bound=_Listed)


class RefFiles:
    """Reads at ``ref``: a commit id, or a branch with what is staged on it.

    Args:
        gateway: the repository's S3 gateway; keys begin with the ref.
        cache: local folder for files that are fetched, by checksum.
        where: how errors call the ref.
    """

    def __init__(
        self, repository: Repository, gateway: S3Store, ref: str, *, cache: Path, where: str
    ) -> None:
        self.repository, self.gateway, self.ref = repository, gateway, ref
        self._cache, self._where = cache, where

    def key(self, path: str) -> str:
        """The key of a path on the gateway."""
        return f"{self.ref}/{path}"

    def tables(self) -> dict[str, int]:
        """Newest version by name, in order of names."""
        names = [
            entry.path.removeprefix(TABLES).rstrip("/")
            for entry in self.repository.list(self.ref, TABLES, folders=True)
        ]
        found = ((name, self.table_version(name)) for name in names)
        return {name: version for name, version in found if version is not None}

    def table_version(self, name: str) -> int | None:
        """The newest version of a table, or None when there is no such table."""
        folder = f"{TABLES}{name}/_versions/"
        for entry in self.repository.list(self.ref, folder, most=1):  # the newest sorts first
            if match := _MANIFEST.fullmatch(entry.path.removeprefix(folder)):
                return 2**64 - 1 - int(match[1])
        return None

    def table(self, name: str) -> TableLocation:
        """The newest version, pinned. Raises NotFound."""
        if (version := self.table_version(name)) is None:
            raise missing_table(name, self._where, self.tables())
        return self.location(name, version)

    def location(self, name: str, version: int | None = None) -> TableLocation:
        """Where a table lies, whether it exists or not."""
        return TableLocation(
            uri=self.gateway.uri(self.key(TABLES + name)),
            version=version,
            storage_options=self.gateway.storage_options(),
        )

    def read(self, path: str) -> bytes:
        try:
            return self.gateway.get(self.key(path))
        except NotFound as err:
            raise missing_file(path, self._where, self.list()) from err

    def sha256(self, path: str) -> str | None:
        """What a file's bytes hash to; None when there is no such file."""
        info = self.gateway.head(self.key(path))
        if info is None:
            return None
        if info.sha256 is not None:
            return info.sha256
        with self.fetch(path).open("rb") as source:  # not written by us
            return hashlib.file_digest(source, "sha256").hexdigest()

    def fetch(self, path: str) -> Path:
        """A local copy, kept by checksum: the same file of another commit is not fetched again."""
        entry = self.repository.stat(self.ref, path)
        if entry is None:
            raise missing_file(path, self._where, self.list())
        local = self._cache / entry.checksum[:2] / f"{entry.checksum}-{entry.size}"
        if not local.exists():
            self.gateway.fetch_file(self.key(path), local)
        return local

    def list(self, prefix: str = "") -> Sequence[str]:
        """Paths outside the reserved folders, ascending."""
        folder = prefix.partition("/")[0] + "/"
        if prefix.startswith(folder):
            if folder in RESERVED:
                return []
            return [entry.path for entry in self.repository.list(self.ref, prefix)]

        def listing(prefix: str, folders: bool) -> Iterator[_Listed]:
            return self.repository.list(self.ref, prefix, folders=folders)

        return sorted(e.path for e in user_files(listing) if e.path.startswith(prefix))

    def entries(self) -> Iterator[Entry]:
        """Every file at the ref, tables' and our own too, but linked media."""
        for entry in self.repository.list(self.ref, folders=True):
            if not entry.is_folder:
                yield entry
            elif entry.path != MEDIA:
                yield from self.repository.list(self.ref, entry.path)


def user_files(listing: Callable[[str, bool], Iterator[T]]) -> Iterator[T]:
    """What ``listing(prefix, folders)`` gives outside the reserved folders, which stay unlisted."""
    for item in listing("", True):
        if item.path in RESERVED:
            continue
        if item.path.endswith("/"):
            yield from listing(item.path, False)
        else:
            yield item
