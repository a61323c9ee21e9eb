"""The table reader of SQL databases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trainset.errors import InputError, NotFound
from trainset.metadata.sql.base import Database, SqlTable
from trainset.metadata.sql.connection import SqlConnection
from trainset.metadata.sql.session import SqlSession, to_stream
from trainset.metadata.table_base import TableStream

Names = Sequence[str] | Mapping[str, Sequence[str]] | None


class SqlReader:
    """A ``TableReader`` of one database; opens a connection for each call and keeps none.

    Args:
        connection: where it is.
        connect: makes its ``Database``.
        tables: the tables to offer; None: all that the user may read.
        key: columns that identify a row, for all tables or by table; None: the primary key.
        cursor: the column that grows with every change, for all tables or by table. PostgreSQL's
            tables need none.
        lag: how far behind the greatest cursor late rows may appear: seconds for a time (default
            300), units for a number (default 0).
    """

    def __init__(
        self,
        connection: SqlConnection,
        connect: Callable[[SqlConnection], Database],
        *,
        tables: Sequence[str] | None,
        key: Names,
        cursor: str | Mapping[str, str] | None,
        lag: float | None,
    ) -> None:
        self._connection, self._connect = connection, connect
        self._tables, self._key, self._cursor, self._lag = tables, key, cursor, lag

    def __repr__(self) -> str:
        return f"SqlReader({self._connection.place})"

    def spec(self) -> Mapping[str, Any]:
        names = {"type": "array", "items": {"type": "string"}}
        return {
            "type": "object",
            "required": ["url"],
            "additionalProperties": False,
            "properties": {
                "url": {"type": "string", "writeOnly": True},
                "tables": names,
                "key": {"anyOf": [names, {"type": "object", "additionalProperties": names}]},
                "cursor": {"type": ["string", "object"]},
                "lag": {"type": "number", "minimum": 0},
            },
        }

    def check(self) -> None:
        """Connects, and finds every table, key and cursor that was named."""
        self.discover()

    def discover(self) -> Sequence[TableStream]:
        """Tables and views with columns and keys of now."""
        database = self._connect(self._connection)
        try:
            if self._tables is None:
                found = list(database.tables())
            else:
                found = [database.describe(name) for name in self._tables]
            named = self._tables is not None
            return [self._stream(table, named=named) for table in found]
        finally:
            database.close()

    def open(self, stream: str, *, full: bool = False) -> SqlSession:
        if self._tables is not None and stream not in self._tables:
            raise NotFound(
                f"{self._connection.place}: table {stream!r} is not among those to sync "
                f"({', '.join(self._tables)}); add it to `tables`"
            )
        database = self._connect(self._connection)
        try:
            database.begin()
            table = self._keyed(database.describe(stream))
            cursor = self._cursor_of(table)
        except BaseException:
            database.close()
            raise
        return SqlSession(database, table, cursor=cursor, lag=self._lag, full=full)

    def _stream(self, table: SqlTable, *, named: bool) -> TableStream:
        try:
            return to_stream(self._keyed(table), self._cursor_of(table))
        except InputError:
            if named or isinstance(self._key, Mapping) or isinstance(self._cursor, Mapping):
                raise
            return to_stream(table, None)  # one name for all tables: not all have it

    def _keyed(self, table: SqlTable) -> SqlTable:
        wanted = self._key.get(table.name) if isinstance(self._key, Mapping) else self._key
        if wanted is None:
            return table
        for name in wanted:
            self._must_have(table, name, "key")
        return replace(table, key=tuple(wanted))

    def _cursor_of(self, table: SqlTable) -> str | None:
        wanted = self._cursor.get(table.name) if isinstance(self._cursor, Mapping) else self._cursor
        if wanted is not None:
            self._must_have(table, wanted, "cursor")
        return wanted

    def _must_have(self, table: SqlTable, name: str, what: str) -> None:
        if name not in table.schema.names:
            raise InputError(
                f"{self._connection.place}: table {table.name!r} has no column {name!r}, which is "
                f"its {what}; it has {', '.join(table.schema.names)}: name another {what}, or "
                "bring the column back"
            )
