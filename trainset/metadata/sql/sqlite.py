"""SQLite through ADBC: one read transaction of a file that is opened read-only.

SQLite's columns hold values of any type. ADBC takes a column's type from a whole chunk (50,000
rows); where that is not the declared type, the chunk is read again with the column as text.
Without a write-ahead log, writers wait at their commit while a sync reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote as percent

import pyarrow as pa

from trainset.errors import NotFound
from trainset.metadata.sql.adbc import AdbcConnection
from trainset.metadata.sql.base import Chunk, Column, Mark, SqlTable, Unmarked
from trainset.metadata.sql.connection import SqlConnection
from trainset.metadata.sql.keyset import ROWS, key_chunks, text_literal
from trainset.metadata.sql.sqlite_sign import file_sign

_SAMPLE = 1000  # rows that tell the type of a column whose declaration does not
_STORED = {"integer": pa.int64(), "real": pa.float64(), "text": pa.string(), "blob": pa.binary()}


class SqliteDatabase(Unmarked):
    """One connection to a SQLite file."""

    def __init__(self, connection: SqlConnection) -> None:
        path = connection.sqlite_path()
        if not path.is_file():
            raise NotFound(f"{path}: there is no such SQLite file; check the path in the url")
        self._path = path.resolve()
        self._sign: str | None = None
        uri = f"file:{percent(str(self._path))}?mode=ro"
        options = {"adbc.sqlite.query.batch_rows": str(4 * ROWS)}
        self._db = AdbcConnection("sqlite", uri, connection, options)

    def begin(self) -> None:
        self._sign = file_sign(self._path)
        self._db.run("BEGIN")
        self._db.rows("SELECT count(*) AS x FROM sqlite_master")  # the snapshot begins here

    def close(self) -> None:
        self._db.close()

    def tables(self) -> Sequence[SqlTable]:
        return [self._table(name, kind) for name, kind in self._names().items()]

    def describe(self, name: str) -> SqlTable:
        names = self._names()
        if name not in names:
            there = ", ".join(list(names)[:20]) or "none"
            raise NotFound(f"{self._path} has no table {name!r}; there are: {there}")
        return self._table(name, names[name])

    def quote(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def mark(self, table: SqlTable) -> Mark:
        return {"file": self._sign}

    def unchanged(self, past: Mark, now: Mark) -> bool:
        return past.get("file") is not None and past.get("file") == now["file"]

    def newest(self, table: SqlTable, cursor: str) -> str | None:
        kind, text = _kept(f"max({self.quote(cursor)})")
        row = self._db.rows(f"SELECT {kind} AS k, {text} AS t FROM {table.source}")[0]
        return None if row["k"] == "null" else json.dumps([row["k"], row["t"]])

    def since(self, table: SqlTable, cursor: str, last: str, lag: float | None) -> str:
        kind, text = json.loads(last)
        if kind == "text":
            text = _earlier(text, 300.0 if lag is None else lag)
        elif lag:
            kind, text = ("real", repr(float(text) - lag))
        return f"{self.quote(cursor)} >= {_literal(kind, text)}"

    def chunks(
        self, table: SqlTable, where: str | None, after: Mapping[str, Any] | None
    ) -> Iterator[Chunk]:
        rowid = table.facts["rowid"]
        if not table.key and rowid is None:
            yield Chunk(where, streamed=True)
            return
        keys = [self.quote(k) for k in table.key] or [rowid]
        found = key_chunks(
            self._db.table,
            table.source,
            keys,
            [_kept(k) for k in keys],
            lambda _, kept: _literal(*kept),
            where=where,
            after=after,
            nulls=bool(table.key),
        )
        for chunk in found:  # a VACUUM numbers rows anew: only a key is good in a later session
            yield chunk if table.key else Chunk(chunk.where)

    def misfits(self, table: SqlTable) -> tuple[str, ...]:
        suspects = []
        for column in table.columns:
            kinds = [k for k, t in _STORED.items() if t == column.type] + ["null"]
            listed = ", ".join(text_literal(k) for k in kinds)
            suspects.append(f"max(typeof({self.quote(column.name)}) NOT IN ({listed}))")
        asked = ", ".join(f"{s} AS c{i}" for i, s in enumerate(suspects))
        row = self._db.rows(f"SELECT {asked} FROM {table.source}")[0]
        return tuple(c.name for i, c in enumerate(table.columns) if row[f"c{i}"])

    def select(self, table: SqlTable, expressions: Sequence[str], where: str | None) -> pa.Table:
        return self._db.table(_query(table, expressions, where))

    def scan(
        self, table: SqlTable, expressions: Sequence[str], where: str | None
    ) -> Iterator[pa.Table]:
        # By chunks: a stream keeps the types of its first rows, and fails at a later value.
        for chunk in self.chunks(table, where, None):
            if chunk.streamed:
                yield from self._db.scan(_query(table, expressions, where))
            else:
                yield self.select(table, expressions, chunk.where)

    def _names(self) -> dict[str, str]:
        rows = self._db.rows(
            "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') "
            "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        )
        return {row["name"]: row["type"] for row in rows}

    def _table(self, name: str, kind: str) -> SqlTable:
        source = self.quote(name)
        rows = self._db.rows(
            f"SELECT cid, name, type, dflt_value IS NOT NULL AS filled, pk, hidden "
            f"FROM pragma_table_xinfo({text_literal(name)}) WHERE hidden <> 1 ORDER BY cid"
        )
        columns = tuple(self._column(source, row) for row in rows)
        key = tuple(r["name"] for r in sorted(rows, key=lambda r: r["pk"]) if r["pk"])
        taken = {r["name"].lower() for r in rows}
        free = next((n for n in ("rowid", "oid", "_rowid_") if n not in taken), None)
        estimate = None
        if kind == "table" and not key:
            free = free if self._has_rowid(name) else None
        if kind == "table" and free and self._has_rowid(name):
            estimate = self._db.rows(f"SELECT max({free}) AS x FROM {source}")[0]["x"]
        rowid = free if kind == "table" else None
        return SqlTable(name, source, columns, key, estimate, {"rowid": rowid})

    def _has_rowid(self, name: str) -> bool:
        sql = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = "
        return not self._db.rows(sql + text_literal(name))[0]["wr"]

    def _column(self, source: str, row: dict[str, Any]) -> Column:
        column = self.quote(row["name"])
        declared = row["type"] or ""
        text = (
            f"CASE typeof({column}) WHEN 'blob' THEN hex({column}) "
            f"WHEN 'real' THEN printf('%!.17g', {column}) ELSE CAST({column} AS TEXT) END"
        )
        return Column(
            name=row["name"],
            type=_affinity(declared) or self._sampled(source, column),
            sql=column,
            text=text,
            number=row["cid"],
            backfilled=bool(row["filled"]) or bool(row["hidden"]),
            declared=declared,
        )

    def _sampled(self, source: str, column: str) -> pa.DataType:
        rows = self._db.rows(
            f"SELECT DISTINCT typeof(v) AS k FROM (SELECT {column} AS v FROM {source} "
            f"LIMIT {_SAMPLE})"
        )
        kinds = {row["k"] for row in rows} - {"null"}
        if kinds == {"integer", "real"}:
            return pa.float64()
        return _STORED[kinds.pop()] if len(kinds) == 1 else pa.string()


def _affinity(declared: str) -> pa.DataType | None:
    """SQLite's rules of type affinity; None where they leave the type open."""
    kind = declared.upper()
    if "INT" in kind:
        return pa.int64()
    if any(word in kind for word in ("CHAR", "CLOB", "TEXT")):
        return pa.string()
    if any(word in kind for word in ("REAL", "FLOA", "DOUB")):
        return pa.float64()
    return pa.binary() if "BLOB" in kind else None


def _kept(expression: str) -> list[str]:
    """Expressions for the storage class of a value and its exact text."""
    return [
        f"typeof({expression})",
        f"CASE typeof({expression}) WHEN 'blob' THEN hex({expression}) "
        f"WHEN 'real' THEN printf('%!.17g', {expression}) ELSE CAST({expression} AS TEXT) END",
    ]


def _literal(kind: str, text: str) -> str:
    if kind == "integer":
        return str(int(text))
    if kind == "real":
        return repr(float(text))
    return f"X'{bytes.fromhex(text).hex()}'" if kind == "blob" else text_literal(text)


def _earlier(text: str, seconds: float) -> str:
    """An ISO time some seconds before, written the same way; other text as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if len(text) <= 10:
        return (
            text if seconds < 86_400 else (moment - timedelta(seconds=seconds)).date().isoformat()
        )
    before = moment - timedelta(seconds=seconds)
    fraction = (
        "milliseconds" if "." in text and len(text.split(".")[1].rstrip("Z")) == 3 else "auto"
    )
    if "." in text and fraction == "auto":
        fraction = "microseconds"
    made = before.isoformat(sep=text[10], timespec=fraction)
    return made[:-6] + "Z" if text.endswith("Z") else made


def _query(table: SqlTable, expressions: Sequence[str], where: str | None) -> str:
    listed = ", ".join(f"{e} AS c{i}" for i, e in enumerate(expressions))
    return f"SELECT {listed} FROM {table.source}" + (f" WHERE {where}" if where else "")
