"""Tables of SQL databases as streams of rows.

PostgreSQL and SQLite are read through ADBC, any other database through SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainset.metadata.sql.base import Database
from trainset.metadata.sql.connection import SqlConnection
from trainset.metadata.sql.reader import Names, SqlReader
from trainset.metadata.table_base import TableReader

__all__ = ["SqlConnection", "open_sql"]


def open_sql(
    url: str | SqlConnection,
    *,
    tables: Sequence[str] | None = None,
    key: Names = None,
    cursor: str | Mapping[str, str] | None = None,
    lag: float | None = None,
) -> TableReader:
    """A reader of a database's tables; connects only when it is asked something.

    Args:
        url: ``postgresql://…``, ``sqlite:///file.db``, or a url of SQLAlchemy.
        tables: names, ``schema.table`` outside the connection's own schemas; None: all.
        key: columns that identify a row; None: the primary key.
        cursor: a column that grows with every change; PostgreSQL's tables need none.
        lag: how far behind the greatest cursor late rows may appear: seconds for a time
            (default 300), units for a number (default 0).
    Raises:
        InputError: this is no url.
    """
    return SqlReader(
        SqlConnection.of(url), _connect, tables=tables, key=key, cursor=cursor, lag=lag
    )


def _connect(connection: SqlConnection) -> Database:
    # Drivers are imported when they are used.
    if connection.scheme in ("postgresql", "postgres"):
        from trainset.metadata.sql.postgres import PostgresDatabase

        return PostgresDatabase(connection)
    if connection.scheme == "sqlite":
        from trainset.metadata.sql.sqlite import SqliteDatabase

        return SqliteDatabase(connection)
    from trainset.metadata.sql.alchemy import AlchemyDatabase

    return AlchemyDatabase(connection)
