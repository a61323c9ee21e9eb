"""``TableStore`` and ``Table``: what the stages need of a table engine. Lance is the first.

A ``TableLocation`` says where a table lies and which version of it; a ``Workspace`` (versions/base)
hands out writable locations, a ``Snapshot`` hands out pinned ones. Computed column ``c`` stands as
four columns: ``c``, ``c__src`` (uint64), ``c__fn`` (string), ``c__err`` (string).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from trainset.model import Frozen


@dataclass(frozen=True)
class TableLocation:
    """Where a table lies. ``version`` None means the newest (only inside a workspace)."""

    uri: str
    version: int | None = None
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)


class UpsertCounts(Frozen):
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


class Table(Protocol):
    """One open table at one version; writing methods move ``version`` on."""

    location: TableLocation

    @property
    def version(self) -> int: ...

    @property
    def schema(self) -> pa.Schema: ...

    def count(self, where: str | None = None) -> int:
        """Rows, or rows for which the SQL expression ``where`` holds."""
        ...

    def scan(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: str | None = None,
        limit: int | None = None,
        frugal: bool = False,
    ) -> pa.RecordBatchReader:
        """Rows in no order that callers may rely on.

        Args:
            frugal: read little ahead: slower from a bucket, for whoever counts memory.
        """
        ...

    def take(self, ids: pa.Array, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        """The rows whose ``row_id`` is among ``ids``, in no order; what is not there is left out.

        Cheap: only these rows are read, not the table.
        """
        ...

    def unlike(self, others: Sequence[Table], columns: Sequence[str]) -> list[pa.RecordBatchReader]:
        """Rows of this table and of each of ``others``, less those that surely are the same in all.

        To compare versions of one table without reading what they share. How many rows are left
        out is the engine's business (none will do); the same ones are left out of each.

        Args:
            columns: with ``row_id``; those that a table lacks count as null, and its result has
                not got them either.
        """
        ...

    def upsert(
        self, rows: pa.Table, *, key: str = "row_id", empty: Sequence[str] = ()
    ) -> UpsertCounts:
        """Insert rows, or update those whose ``row_fp`` differs; columns absent from ``rows`` stay.

        ``empty``: columns set to null in the updated rows (computed cells of changed content).
        Writes no version when nothing differs.
        """
        ...

    def delete(self, where: str) -> int:
        """Delete rows; returns how many."""
        ...

    def add_columns(self, fields: Sequence[pa.Field]) -> None:
        """Add null columns (metadata only); those that exist with the same type are passed over."""
        ...

    def fragments(self) -> Sequence[int]:
        """Ids of the partitions of this version, the unit of a compute task."""
        ...

    def read_fragment(
        self, fragment: int, columns: Sequence[str], *, where: str | None = None
    ) -> pa.Table:
        """Rows of one fragment."""
        ...

    def stage_fill(self, fragment: int, cells: pa.Table) -> str:
        """Write ``cells`` (``row_id`` + columns to set) beside the table, without a commit.

        Returns a token (JSON) for ``commit_fills``. Rows of the fragment not in ``cells`` keep
        their values. Safe to repeat: an uncommitted token leaves files that nothing refers to.
        """
        ...

    def commit_fills(self, tokens: Sequence[str]) -> None:
        """Make the staged fills of many fragments visible at once."""
        ...

    def restore(self, version: int) -> None:
        """Make the rows of ``version`` the newest version (a new number)."""
        ...

    def nearest(
        self,
        column: str,
        vector: Sequence[float],
        *,
        k: int,
        where: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """The ``k`` rows of highest cosine similarity, best first, with ``_score`` in [-1, 1]."""
        ...

    def match(
        self,
        column: str,
        words: str,
        *,
        k: int,
        where: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Full-text (BM25) search of a string column, best first, with ``_score``."""
        ...

    def ensure_index(self, column: str, kind: str) -> None:
        """kind: ``cosine`` (vector), ``text`` (BM25), ``scalar``; nothing where it is not due."""
        ...

    def files(self) -> Sequence[str]:
        """Paths, relative to the table, of all files this version needs, manifest included."""
        ...


class TableStore(Protocol):
    """Opens tables of one engine."""

    def exists(self, location: TableLocation) -> bool: ...

    def create(self, location: TableLocation, schema: pa.Schema) -> Table: ...

    def open(self, location: TableLocation) -> Table:
        """Raises NotFound."""
        ...


def to_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as plain dicts, for small tables."""
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
