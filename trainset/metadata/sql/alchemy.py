"""Any other database through SQLAlchemy (``mysql+pymysql://…``, ``mssql+pyodbc://…``, …).

There are no signs of a snapshot here: tables are read by their cursor and lag, without one in full.
The snapshot is REPEATABLE READ where the database has it. Values go through Python objects: some
ten times slower than ADBC.
"""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from trainset.errors import InputError, MissingExtra, NotFound
from trainset.metadata.sql.base import Chunk, Column, SqlTable, Unmarked
from trainset.metadata.sql.connection import SqlConnection
from trainset.metadata.sql.errors import translated
from trainset.metadata.sql.keyset import key_chunks

try:
    import sqlalchemy as sa
except ImportError as err:
    raise MissingExtra("reading SQL tables of this kind", "sql") from err

_ROWS = 10_000  # of a streamed batch
_NO_LIMIT = ("mssql", "oracle")  # databases without LIMIT: read in one stream
_TYPES: tuple[tuple[type, pa.DataType], ...] = (
    (bool, pa.bool_()),
    (int, pa.int64()),
    (float, pa.float64()),
    (bytes, pa.binary()),
    (datetime.datetime, pa.timestamp("us")),
    (datetime.date, pa.date32()),
)
_PARSE: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "Decimal": decimal.Decimal,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
}


class AlchemyDatabase(Unmarked):
    """One connection of SQLAlchemy."""

    def __init__(self, connection: SqlConnection) -> None:
        self._connection = connection
        with self._errors():
            try:
                self._engine = sa.create_engine(
                    connection.url.get_secret_value(), poolclass=sa.pool.NullPool
                )
            except ModuleNotFoundError as err:
                raise InputError(
                    f"{connection.place}: the driver {err.name!r} is not installed; install it"
                ) from None
            self._db = self._engine.connect()
        self._dialect = self._engine.dialect

    def begin(self) -> None:
        with self._errors():
            raw: Any = self._db.connection.dbapi_connection
            levels = self._dialect.get_isolation_level_values(raw)
            if "REPEATABLE READ" in levels:
                self._db.rollback()
                self._db = self._db.execution_options(isolation_level="REPEATABLE READ")
            if self._dialect.name == "sqlite":  # Python's driver begins no transaction to read
                self._db.exec_driver_sql("BEGIN")
                self._db.exec_driver_sql("SELECT count(*) FROM sqlite_master").all()

    def close(self) -> None:
        self._db.close()
        self._engine.dispose()

    def tables(self) -> Sequence[SqlTable]:
        with self._errors():
            look = sa.inspect(self._db)
            return [self._table(look, name) for name in self._names(look)]

    def describe(self, name: str) -> SqlTable:
        with self._errors():
            look = sa.inspect(self._db)
            names = self._names(look)
            schema, _, bare = name.rpartition(".")
            if name not in names and not (schema and look.has_table(bare, schema=schema)):
                there = ", ".join(names[:20]) or "none"
                raise NotFound(
                    f"{self._connection.place} has no table {name!r}; there are: {there}"
                )
            return self._table(look, name)

    def quote(self, name: str) -> str:
        return str(self._dialect.identifier_preparer.quote_identifier(name))

    def newest(self, table: SqlTable, cursor: str) -> str | None:
        sql = f"SELECT max({self.quote(cursor)}) AS x FROM {table.source}"
        found = next(iter(self._batches(sql)))[0][0]
        return None if found is None else _kept(found)

    def since(self, table: SqlTable, cursor: str, last: str, lag: float | None) -> str:
        value = _restored(last)
        if isinstance(value, datetime.datetime):
            value -= datetime.timedelta(seconds=300.0 if lag is None else lag)
        elif isinstance(value, datetime.date):
            value -= datetime.timedelta(days=-(-(lag or 0) // 86_400))
        elif lag and not isinstance(value, str):
            value = value - type(value)(lag)
        return f"{self.quote(cursor)} >= {self._literal(value)}"

    def chunks(
        self, table: SqlTable, where: str | None, after: Mapping[str, Any] | None
    ) -> Iterator[Chunk]:
        if not table.key or self._dialect.name in _NO_LIMIT:
            yield Chunk(where, streamed=True)
            return
        keys = [self.quote(k) for k in table.key]

        def boundary(sql: str) -> pa.Table:
            rows = [row for batch in self._batches(sql) for row in batch]
            made = [{f"t{i}_0": _kept(v) for i, v in enumerate(row)} for row in rows]
            return pa.Table.from_pylist(made)

        yield from key_chunks(
            boundary,
            table.source,
            keys,
            [[k] for k in keys],
            lambda _, kept: self._literal(_restored(kept[0])),
            where=where,
            after=after,
        )

    def misfits(self, table: SqlTable) -> tuple[str, ...]:
        return ()  # Python objects lose nothing on the way

    def select(self, table: SqlTable, expressions: Sequence[str], where: str | None) -> pa.Table:
        found = list(self.scan(table, expressions, where))
        return pa.concat_tables(found, promote_options="permissive") if found else pa.table({})

    def scan(
        self, table: SqlTable, expressions: Sequence[str], where: str | None
    ) -> Iterator[pa.Table]:
        listed = ", ".join(f"{e} AS c{i}" for i, e in enumerate(expressions))
        sql = f"SELECT {listed} FROM {table.source}" + (f" WHERE {where}" if where else "")
        for rows in self._batches(sql):
            columns = list(zip(*rows, strict=True)) if rows else [()] * len(expressions)
            yield pa.table([_array(c) for c in columns], [f"c{i}" for i in range(len(columns))])

    def _batches(self, sql: str) -> Iterator[list[Any]]:
        """Rows as tuples, at least one (perhaps empty) batch."""
        with self._errors():
            options = {"stream_results": True, "max_row_buffer": _ROWS}
            safe = sql.replace("%", "%%") if self._dialect.paramstyle in _PERCENT else sql
            with self._db.execution_options(**options).exec_driver_sql(safe) as result:
                rows = result.fetchmany(_ROWS)
                yield list(rows)
                while rows := result.fetchmany(_ROWS):
                    yield list(rows)

    def _names(self, look: Any) -> list[str]:
        return sorted([*look.get_table_names(), *look.get_view_names()])

    def _table(self, look: Any, name: str) -> SqlTable:
        schema, bare = None, name
        if not look.has_table(name):
            schema, _, bare = name.rpartition(".")
        found = look.get_columns(bare, schema=schema)
        key = look.get_pk_constraint(bare, schema=schema)["constrained_columns"]
        columns = tuple(self._column(number, column) for number, column in enumerate(found))
        source = ".".join(self.quote(part) for part in (schema, bare) if part)
        return SqlTable(name, source, columns, tuple(key))

    def _column(self, number: int, found: Mapping[str, Any]) -> Column:
        quoted = self.quote(found["name"])
        return Column(
            name=found["name"],
            type=_arrow(found["type"]),
            sql=quoted,
            text=quoted,
            number=number,
            backfilled=found.get("default") is not None or bool(found.get("computed")),
        )

    def _literal(self, value: Any) -> str:
        made = sa.literal(value).compile(
            dialect=self._dialect, compile_kwargs={"literal_binds": True}
        )
        return str(made)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as err:
            raise translated(err, self._connection) from None


_PERCENT = ("format", "pyformat")  # drivers that take % for a parameter


def _arrow(kind: Any) -> pa.DataType:
    try:
        python = kind.python_type
    except NotImplementedError:
        return pa.string()
    return next((t for p, t in _TYPES if issubclass(python, p)), pa.string())


def _array(values: Sequence[Any]) -> pa.Array:
    """The values as their own type; of several types: as text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError):
        return pa.array([None if v is None else str(v) for v in values], pa.string())


def _kept(value: Any) -> str:
    """A key's or cursor's value as text that ``_restored`` reads."""
    shown = value.isoformat() if isinstance(value, datetime.date) else str(value)
    return json.dumps([type(value).__name__, shown])


def _restored(text: str) -> Any:
    kind, shown = json.loads(text)
    if kind not in _PARSE:
        raise InputError(f"a column of type {kind} cannot be key or cursor here; name another one")
    return _PARSE[kind](shown)
