"""Queries through ADBC: Arrow in, no Python object a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from trainset.errors import MissingExtra
from trainset.metadata.sql.connection import SqlConnection
from trainset.metadata.sql.errors import translated


class AdbcConnection:
    """One open connection; cursors on it run one after another, in autocommit.

    Args:
        driver: ``postgresql`` or ``sqlite``.
        uri: for the driver.
        options: of every statement.
    """

    def __init__(
        self, driver: str, uri: str, connection: SqlConnection, options: Mapping[str, str]
    ) -> None:
        self._connection, self._options = connection, dict(options)
        try:
            if driver == "postgresql":
                import adbc_driver_postgresql.dbapi as dbapi
            else:
                import adbc_driver_sqlite.dbapi as dbapi
        except ImportError as err:
            raise MissingExtra("reading SQL tables", "sql") from err
        with self._errors():
            self._db: Any = dbapi.connect(uri, autocommit=True)

    def close(self) -> None:
        self._db.close()

    def run(self, sql: str) -> None:
        with self._cursor() as cursor:
            cursor.execute(sql)

    def table(self, sql: str) -> pa.Table:
        with self._cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

    def rows(self, sql: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.table(sql).to_pylist()
        return found

    def scan(self, sql: str) -> Iterator[pa.Table]:
        with self._cursor() as cursor:
            cursor.execute(sql)
            for batch in cursor.fetch_record_batch():
                yield pa.Table.from_batches([batch])

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with self._errors():
            cursor = self._db.cursor(adbc_stmt_kwargs=self._options)
            try:
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as err:  # out of a stream of batches
            raise translated(err, self._connection) from None
        except Exception as err:
            if type(err).__module__.startswith("adbc_driver_manager"):
                raise translated(err, self._connection) from None
            raise
