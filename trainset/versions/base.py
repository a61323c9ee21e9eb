"""``VersionStore``: branches, commits, tags and merges over tables and files together.

A run works in a ``Workspace`` (its run branch), readers work on a ``Snapshot`` (one commit).
Contract (tests/versions/test_version_contract.py runs over every implementation):

- ``main`` moves only by ``Workspace.merge``; a merge is whole or not at all, also after kill -9.
- A snapshot of any commit ever made on main or on a branch that still exists stays readable.
- ``begin`` of a run id that exists gives its workspace as it was left (crash, then resume).
- A commit with no change against its base is not made: ``commit`` returns None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pydantic import Field

from trainset.errors import ConflictError
from trainset.model import Commit, Frozen
from trainset.tables.base import TableLocation

MAIN = "main"
FileChange = Literal["written", "put", "removed"]


class MainMoved(ConflictError):
    """Main is no longer where the run started; its row changes must be replayed."""

    kind = "main-moved"

    def __init__(self, base: str, main: str) -> None:
        self.base, self.main = base, main
        super().__init__(
            f"main moved from {base[:12]} to {main[:12]} while the run worked; replay the run's "
            "changes on main (flows do this by themselves) or run again"
        )


class TableChange(Frozen):
    """How one table differs between two commits, by row.

    Attributes:
        fate: ``new`` and ``gone`` tables are in one of the commits only.
        columns_added, columns_removed: computed ones too; of a table that both have.
        columns_retyped: ``width: int32 to int64``.
    """

    table: str
    added: int = 0
    removed: int = 0
    changed: int = 0
    recomputed: int = 0
    fate: Literal["both", "new", "gone"] = "both"
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    columns_retyped: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        return {how: getattr(self, how) for how in ("added", "removed", "changed", "recomputed")}

    @property
    def schema_said(self) -> str:
        """``new columns: clip; columns gone: ocr``; empty where the columns are the same."""
        facts = {"both": [], "new": ["a new table"], "gone": ["the table is gone"]}[self.fate]
        for what, columns in (
            ("new columns", self.columns_added),
            ("columns gone", self.columns_removed),
            ("columns of another type", self.columns_retyped),
        ):
            facts += [f"{what}: {', '.join(columns)}"] if columns else []
        return "; ".join(facts)

    @property
    def said(self) -> str:
        """``media: 2 added, 0 removed, 1 changed, 0 computed again; new columns: clip``."""
        counts = (
            f"{self.table}: {self.added:,} added, {self.removed:,} removed, "
            f"{self.changed:,} changed, {self.recomputed:,} computed again"
        )
        return "; ".join(filter(None, (counts, self.schema_said)))


class MediaLink(NamedTuple):
    """A medium as a version store may show it beside the tables, its bytes staying where they are.

    Attributes:
        path: ``media/<key>``.
        address: of the bytes: ``s3://bucket/key``, or ``local:///folder/file``.
        size: bytes.
        place: what the address begins with; whoever reads one object there can read all.
    """

    path: str
    address: str
    sha256: str
    size: int
    mime: str
    place: str


class MediaLinks(Frozen):
    """What became of a run's links.

    Attributes:
        refused: path or place -> why the store does not link it; ``left`` counts these media.
    """

    linked: int = 0
    unlinked: int = 0
    kept: int = 0
    left: int = 0
    refused: dict[str, str] = Field(default_factory=dict)


class FileCheck(Frozen):
    """One file of a commit that was read again; ``fault`` says what is wrong with it.

    Attributes:
        hashed: its bytes were compared; else only its size, as nothing more is known of it.
    """

    path: str
    size: int
    hashed: bool = True
    fault: str | None = None


class Snapshot(Protocol):
    """One commit, read only."""

    commit: Commit

    def tables(self) -> Sequence[str]: ...

    def table(self, name: str) -> TableLocation:
        """A location with its version pinned. Raises NotFound."""
        ...

    def read(self, path: str) -> bytes:
        """A small file of the commit, e.g. ``meta/…/_state.json``. Raises NotFound."""
        ...

    def fetch(self, path: str) -> Path:
        """A file of the commit as a local path (a Parquet part). Raises NotFound."""
        ...

    def list(self, prefix: str = "") -> Sequence[str]:
        """Paths of the commit's files outside ``tables/``, ascending."""
        ...

    def check_files(self) -> Iterator[FileCheck]:
        """Read every file of the commit where it lies, tables' too, and compare what it says.

        A file that is gone or holds other bytes is no error here: it is what was found.
        """
        ...


class Workspace(Protocol):
    """A run branch that is being written. Reads see the run's own writes."""

    run_id: str
    base: Commit | None  # None on an empty repository

    def tables(self) -> Sequence[str]: ...

    def table(self, name: str) -> TableLocation:
        """A writable location, whether the table exists or not."""
        ...

    def read(self, path: str) -> bytes: ...

    def fetch(self, path: str) -> Path: ...

    def list(self, prefix: str = "") -> Sequence[str]: ...

    def write(self, path: str, data: bytes) -> None:
        """Write a small file (kept whole inside the version store)."""
        ...

    def put_file(self, path: str, local: Path) -> None:
        """Add a file of any size; ``path`` must be new for ever (an immutable name)."""
        ...

    def remove(self, path: str) -> None: ...

    def link_media(
        self,
        media: Iterable[MediaLink],
        *,
        before: Iterable[MediaLink] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> MediaLinks | None:
        """Show just these media beside the tables, by reference; None: this store shows none.

        Repeating it after a kill goes on where it was.

        Args:
            media: ascending by path (UTF-8), each path once.
            before: the same of the base commit, if it was linked as these are: saves a listing.
            progress: told how many links were made so far.
        """
        ...

    def changes(self) -> Mapping[str, FileChange]:
        """How this run changed files outside its tables against its base, by path."""
        ...

    def commit(self, message: str, metadata: Mapping[str, str]) -> Commit | None:
        """Commit tables and files on the run branch; None when nothing differs from the base."""
        ...

    def merge(self) -> Commit:
        """Move main to this branch's commit and end the branch. Raises MainMoved."""
        ...

    def discard(self) -> None:
        """Drop the branch and its uncommitted work."""
        ...


class VersionStore(Protocol):
    def resolve(self, ref: str) -> Commit:
        """A branch, tag, or commit id (8+ digits). Raises NotFound, naming close refs."""
        ...

    def head(self) -> Commit | None:
        """The tip of main, or None before the first commit."""
        ...

    def begin(self, run_id: str, *, base: str = MAIN) -> Workspace:
        """A run branch from ``base``, or the one that an earlier process of this run left."""
        ...

    def runs(self) -> Sequence[str]:
        """Ids of runs whose branch still exists."""
        ...

    def is_silent(self, run_id: str, *, since: datetime) -> bool:
        """Whether nothing was written on a run's branch since; False where it cannot be told."""
        ...

    def snapshot(self, ref: str) -> Snapshot: ...

    def log(self, ref: str = MAIN) -> Iterator[Commit]:
        """Commits from ``ref`` back to the first."""
        ...

    def branches(self) -> Mapping[str, str]: ...

    def create_branch(self, name: str, at: str = MAIN) -> None: ...

    def delete_branch(self, name: str) -> None: ...

    def tags(self) -> Mapping[str, str]: ...

    def tag(self, name: str, ref: str = MAIN) -> str:
        """Tag ``ref``; a taken name gets ``.2``, ``.3`` …; returns the name used."""
        ...

    def merge(self, source: str, into: str = MAIN, *, message: str = "") -> Commit:
        """Merge a branch by row (three-way, by key and fingerprint). Raises RowConflicts."""
        ...

    def rollback(self, ref: str, *, message: str = "") -> Commit:
        """Make main hold what ``ref`` holds, as a new commit; history stays."""
        ...
