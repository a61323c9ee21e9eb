"""Reading a dataset: any home, any ref, without a checkout and without writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from trainset.compute.base import Function
from trainset.compute.functions import decode_function, function_path
from trainset.errors import NotFound
from trainset.home import Home, open_home
from trainset.model import Commit, Credentials

if TYPE_CHECKING:
    from trainset.dataset_diff import DatasetDiff
    from trainset.tables.base import Table
    from trainset.tables.lineage import Lineage
    from trainset.tables.trace import Trace
    from trainset.tables.view import TableView
    from trainset.transfer.ledger import Ledger
    from trainset.versions.base import Snapshot
    from trainset.versions.lakefs.access import LakeFSAccess


def open(
    url: str,
    ref: str = "main",
    *,
    credentials: Credentials | None = None,
    lakefs: LakeFSAccess | None = None,
) -> Dataset:
    """Open a dataset at any ref, for reading.

    Args:
        url: the home: a folder, ``s3://bucket/prefix`` or ``b2://bucket/prefix``.
        ref: a branch, a tag, or a commit id (8 digits or more).
        credentials: of the bucket; None: from the environment (``B2_KEY_ID`` …).
        lakefs: the way to the server that keeps its versions; None: from the environment.
    Raises:
        NotFound: no home there, or no such ref; close names are listed.
    """
    home = open_home(url, credentials=credentials, lakefs=lakefs)
    return Dataset(home, home.versions.snapshot(ref), ref)


class Dataset:
    """One commit of a home.

    Attributes:
        home: where it lies.
        ref: the name it was opened by.
    """

    def __init__(self, home: Home, snapshot: Snapshot, ref: str) -> None:
        self.home, self.snapshot, self.ref = home, snapshot, ref
        self._tables: dict[str, Table] = {}
        self._functions: dict[str, Function | None] = {}

    def __repr__(self) -> str:
        return f"Dataset({self.home.url!r}, ref={self.ref!r}, commit={self.commit.id[:12]!r})"

    @property
    def commit(self) -> Commit:
        return self.snapshot.commit

    def tables(self) -> Sequence[str]:
        """Names of the commit's tables."""
        return self.snapshot.tables()

    def table(self, name: str) -> TableView:
        """A view of all rows of a table. Raises NotFound."""
        from trainset.tables.view import TableView

        self.open_table(name)
        return TableView(self, name)

    def open_table(self, name: str) -> Table:
        """The table itself, pinned at the commit; ``table`` is the comfortable way."""
        if name not in self._tables:
            from trainset.tables.lance_store import LanceTableStore

            if name not in self.tables():
                raise NotFound(
                    f"{self.ref} has no table {name!r}; it has {', '.join(self.tables()) or 'none'}"
                )
            self._tables[name] = LanceTableStore().open(self.snapshot.table(name))
        return self._tables[name]

    def function(self, fn_id: str) -> Function | None:
        """What the registry says of a computed cell's function; None where it is not registered."""
        if fn_id not in self._functions:
            self._functions[fn_id] = self._read_function(fn_id)
        return self._functions[fn_id]

    def log(self) -> Iterator[Commit]:
        """Commits from this one back to the first."""
        return self.home.versions.log(self.commit.id)

    def diff(self, other_ref: str) -> DatasetDiff:
        """How this commit differs from ``other_ref`` (the older one), by row. Raises NotFound."""
        from trainset.dataset_diff import DatasetDiff

        older = Dataset(self.home, self.home.versions.snapshot(other_ref), other_ref)
        return DatasetDiff(older, self)

    def lineage(self, row: str) -> Lineage:
        """Source, transfer events, labels and functions of one row of ``media``.

        Args:
            row: its row id, or its key.
        Raises:
            NotFound: the commit has no such row.
        """
        from trainset.tables.lineage import trace_row

        return trace_row(
            row,
            media=self.open_table("media"),
            annotations=(
                self.open_table("annotations") if "annotations" in self.tables() else None
            ),
            snapshot=self.snapshot,
            functions=self.function,
        )

    def trace(self, file: str, *, ledger: Ledger | None = None) -> Trace:
        """A file's story over all runs, by key, path, source uri, sha256, row id or uri.

        Args:
            ledger: for tries that no run has told of; None: there is none.
        Raises:
            NotFound: nothing goes by this name; close names are listed.
        """
        from trainset.tables.trace import trace_file

        return trace_file(self, file, ledger)

    def read_media(self, uri: str, version_id: str | None = None) -> bytes:
        """The bytes behind a ``uri`` of the media table, of the version that its row names.

        Raises NotFound; VersionGone, where a medium outside the home was overwritten.
        """
        return self.home.read_media(uri, version_id)

    def _read_function(self, fn_id: str) -> Function | None:
        try:
            return decode_function(self.snapshot.read(function_path(fn_id)))
        except NotFound:
            return None
