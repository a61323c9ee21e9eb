"""``LakeFSSnapshot``: one commit, read in place through the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from trainset.model import Commit
from trainset.tables.base import TableLocation
from trainset.versions.base import FileCheck
from trainset.versions.lakefs.check import check_entries
from trainset.versions.lakefs.files import RefFiles
from trainset.versions.tree import missing_table


class LakeFSSnapshot:
    """See ``Snapshot``. ``files`` reads at the commit's id, where nothing ever changes."""

    def __init__(self, commit: Commit, files: RefFiles) -> None:
        self.commit, self.files = commit, files

    @cached_property
    def versions(self) -> dict[str, int]:
        """The Lance version of every table."""
        return self.files.tables()

    def tables(self) -> Sequence[str]:
        return list(self.versions)

    def table(self, name: str) -> TableLocation:
        if name not in self.versions:
            raise missing_table(name, f"commit {self.commit.id[:12]}", self.versions)
        return self.files.location(name, self.versions[name])

    def read(self, path: str) -> bytes:
        return self.files.read(path)

    def fetch(self, path: str) -> Path:
        return self.files.fetch(path)

    def list(self, prefix: str = "") -> Sequence[str]:
        return self.files.list(prefix)

    def check_files(self) -> Iterator[FileCheck]:
        """See ``Snapshot``; media that are linked are not among them."""
        return check_entries(self.files.gateway, self.files.ref, self.files.entries())
