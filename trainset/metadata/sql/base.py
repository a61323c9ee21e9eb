"""What one kind of database must offer, and the nouns that reading a table needs.

Everything that knows SQL dialects and drivers is behind ``Database``; what is read next, and what
the state holds, is decided without it (``plan``, ``session``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

Mark = dict[str, Any]  # JSON-able signs of a snapshot: what tells two snapshots apart


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        type: what its values are read as; a value that does not fit makes that batch's column text.
        sql: the expression that gives values of that type, or text that is cast to it.
        text: the expression that gives every value as text, also what ``type`` cannot hold.
        number: the database's own number of the column; it survives a rename. Grows.
        backfilled: rows from before the column was added may hold a value that no write put there.
        declared: the database's name of the type, as a cast may say it.
    """

    name: str
    type: pa.DataType
    sql: str
    text: str
    number: int
    backfilled: bool = False
    declared: str = ""


@dataclass(frozen=True)
class SqlTable:
    """A table or view.

    Attributes:
        name: as the user says it; ``schema.table`` outside the connection's own schemas.
        source: quoted, for a FROM.
        rows: the database's estimate.
        facts: what only its own ``Database`` understands.
    """

    name: str
    source: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rows: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(c.name, c.type) for c in self.columns])

    def column(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)


@dataclass(frozen=True)
class Chunk:
    """A slice of a table: ``where`` selects it, ``after`` is the position to go on from.

    ``after`` is None where a later session cannot go on: there the read begins again. A chunk that
    is ``streamed`` may be of any size: it is read by ``scan``.
    """

    where: str | None
    after: dict[str, Any] | None = None
    streamed: bool = False


class Database(Protocol):
    """One connection; between ``begin`` and ``close`` all answers come from one snapshot."""

    def begin(self) -> None: ...

    def close(self) -> None: ...

    def tables(self) -> Sequence[SqlTable]:
        """Every table and view that this connection may read."""
        ...

    def describe(self, name: str) -> SqlTable:
        """Raises NotFound with the names that are there."""
        ...

    def quote(self, name: str) -> str: ...

    def mark(self, table: SqlTable) -> Mark:
        """The signs of this snapshot."""
        ...

    def unchanged(self, past: Mark, now: Mark) -> bool:
        """True only when it is proven that no row of the table changed, was added or deleted."""
        ...

    def written_since(self, table: SqlTable, past: Mark, now: Mark) -> str | None:
        """A predicate that holds for every row written by a transaction that ``past`` did not see.

        None when this database, table or pair of marks cannot say.
        """
        ...

    def unsettled(self, table: SqlTable, now: Mark) -> str | None:
        """A predicate for rows of this snapshot that ``written_since`` it will give once more."""
        ...

    def stale(self, mark: Mark) -> bool:
        """True when ``written_since`` this mark will soon be impossible: it must move on."""
        ...

    def newest(self, table: SqlTable, cursor: str) -> str | None:
        """The greatest value of the column, for ``since``; None when there is none."""
        ...

    def since(self, table: SqlTable, cursor: str, last: str, lag: float | None) -> str:
        """A predicate: the cursor is ``last`` less the lag, or greater.

        Args:
            last: what ``newest`` gave.
            lag: seconds for a time, units for a number; None: 300 and 0.
        """
        ...

    def chunks(
        self, table: SqlTable, where: str | None, after: Mapping[str, Any] | None
    ) -> Iterator[Chunk]:
        """Slices of at most some 8 MB or 50,000 rows, in an order that ``after`` goes on from."""
        ...

    def resumable(self, table: SqlTable, after: Mapping[str, Any]) -> bool:
        """False when rows may have moved past ``after`` without being written."""
        ...

    def misfits(self, table: SqlTable) -> tuple[str, ...]:
        """Columns with a value that its type cannot hold; asked before a streamed chunk."""
        ...

    def select(self, table: SqlTable, expressions: Sequence[str], where: str | None) -> pa.Table:
        """The expressions over one chunk."""
        ...

    def scan(
        self, table: SqlTable, expressions: Sequence[str], where: str | None
    ) -> Iterator[pa.Table]:
        """The expressions over many rows, streamed in constant memory."""
        ...


class Unmarked:
    """What a ``Database`` answers whose rows bear no sign of who wrote them: it cannot tell."""

    def mark(self, table: SqlTable) -> Mark:
        return {}

    def unchanged(self, past: Mark, now: Mark) -> bool:
        return False

    def written_since(self, table: SqlTable, past: Mark, now: Mark) -> str | None:
        return None

    def unsettled(self, table: SqlTable, now: Mark) -> str | None:
        return None

    def stale(self, mark: Mark) -> bool:
        return False

    def resumable(self, table: SqlTable, after: Mapping[str, Any]) -> bool:
        return "key" in after  # a key stays where it is; a physical place may not
