"""PostgreSQL through ADBC: one REPEATABLE READ snapshot, and what its transaction ids prove.

The signs, and what each proves:

- ``pg_current_snapshot()``: every transaction below its ``xmin`` had ended. When now no id was
  given out since (``xmax`` of now = ``xmin`` of then), no row of the whole server was written:
  nothing changed, rows and deletes alike. Free.
- ``xmin`` of a row: who wrote it. A row that the last sync could not see was written by a
  transaction at or above that sync's ``xmin``, however late it was committed and whatever its
  cursor says. Costs a sequential scan (0.03 s for 500,000 rows), so it is asked second, and no
  cursor and no lag is needed. It says nothing of deletes: those are seen by the live keys.
- The greatest cursor by its index proves nothing about late commits, and the counters of
  ``pg_stat`` come up to a minute late: neither is used for tables. Views have no ``xmin``: there
  the cursor and its lag are all there is.

Row ids are 32 bits: a distance of 2^31 transactions, another server (system identifier, timeline:
a restored backup gives ids out twice), another table under the name or other partitions make the
marks incomparable: every row is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from trainset.errors import NotFound, TrainsetError
from trainset.metadata.sql.adbc import AdbcConnection
from trainset.metadata.sql.base import Chunk, Mark, SqlTable
from trainset.metadata.sql.connection import SqlConnection
from trainset.metadata.sql.keyset import key_chunks, text_literal
from trainset.metadata.sql.postgres_catalog import list_tables, quoted

_CHUNK_BYTES = 8 << 20  # of the table with its long values; one is read as one is written
_WRAP = 1 << 31
_TID_RANGES = 140_000  # the version that finds a range of pages without reading the whole table
_SETTINGS = {
    "TimeZone": "UTC", "IntervalStyle": "iso_8601", "DateStyle": "ISO", "extra_float_digits": "1",
    "bytea_output": "hex", "synchronize_seqscans": "off",
}  # fmt: skip
_IDENTITY = """
SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' ||
  CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())::text
  ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int::text END AS id
"""
_TIMES = ("timestamp", "date", "time")
_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision")


class PostgresDatabase:
    """One connection to PostgreSQL."""

    def __init__(self, connection: SqlConnection) -> None:
        self._connection = connection
        self._db = AdbcConnection("postgresql", connection.libpq(), connection, {})
        # In one question, for the server may be far away.
        settings = [f"set_config('{name}', '{value}', false)" for name, value in _SETTINGS.items()]
        version = f"SELECT current_setting('server_version_num') AS x, {', '.join(settings)}"
        self._version = int(self._one(version))
        try:
            self._identity = str(self._one(_IDENTITY.replace(" AS id", " AS x")))
        except TrainsetError:  # some hosted servers keep these functions to themselves
            self._identity = ""

    def begin(self) -> None:
        self._db.run("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def close(self) -> None:
        self._db.close()

    def tables(self) -> Sequence[SqlTable]:
        return list_tables(self._db)

    def describe(self, name: str) -> SqlTable:
        found = list_tables(self._db, name)
        if not found:
            there = ", ".join(t.name for t in self.tables()[:20]) or "none"
            raise NotFound(
                f"{self._connection.place} has no table {name!r} that this user may read; "
                f"there are: {there}"
            )
        return next((t for t in found if t.name == name), found[0])

    def quote(self, name: str) -> str:
        return quoted(name)

    def mark(self, table: SqlTable) -> Mark:
        snapshot = str(self._one("SELECT pg_current_snapshot()::text AS x"))
        low, high = snapshot.split(":")[:2]
        made = {"server": self._identity, "oid": table.facts["oid"], "xmin": low, "xmax": high}
        if not table.facts["versioned"]:
            made["versioned"] = False
        if table.facts["partitioned"]:
            parts = "SELECT relid::oid::int8 AS id FROM pg_partition_tree({}) WHERE isleaf"
            oid = f"{table.facts['oid']}::oid::regclass"
            made["partitions"] = sorted(r["id"] for r in self._db.rows(parts.format(oid)))
        return made

    def unchanged(self, past: Mark, now: Mark) -> bool:
        return self._comparable(past, now) and now["xmax"] == past["xmin"]

    def written_since(self, table: SqlTable, past: Mark, now: Mark) -> str | None:
        return self._at_or_above(past["xmin"]) if self._comparable(past, now) else None

    def unsettled(self, table: SqlTable, now: Mark) -> str | None:
        if "versioned" in now or now["xmin"] == now["xmax"]:
            return None  # no transaction was under way: the next window begins behind all rows
        return self._at_or_above(now["xmin"])

    def stale(self, mark: Mark) -> bool:
        now = str(self._one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS x"))
        return int(now) - int(mark["xmin"]) > _WRAP // 4

    def _comparable(self, past: Mark, now: Mark) -> bool:
        same = all(past.get(k) == now.get(k) for k in ("server", "oid", "partitions", "versioned"))
        if not same or "versioned" in now or "xmin" not in past:
            return False
        return 0 <= int(now["xmax"]) - int(past["xmin"]) < _WRAP

    @staticmethod
    def _at_or_above(xid: str) -> str:
        return f"age(xmin) <= age('{int(xid) % (1 << 32)}'::xid)"

    def newest(self, table: SqlTable, cursor: str) -> str | None:
        found = self._one(f"SELECT max({quoted(cursor)})::text AS x FROM {table.source}")
        return None if found is None else str(found)

    def since(self, table: SqlTable, cursor: str, last: str, lag: float | None) -> str:
        column, declared = quoted(cursor), table.column(cursor).declared
        value = f"{text_literal(last)}::{declared}"
        if declared.startswith(_TIMES):
            seconds = 300.0 if lag is None else lag
            return f"{column} >= {value} - interval '{seconds} seconds'"
        if declared.startswith(_NUMBERS) and lag:
            return f"{column} >= {value} - {lag}"
        return f"{column} >= {value}"

    def chunks(
        self, table: SqlTable, where: str | None, after: Mapping[str, Any] | None
    ) -> Iterator[Chunk]:
        if table.facts["heap"] and self._version >= _TID_RANGES:
            yield from self._pages(table, where, after)
        elif table.key:
            keys = [quoted(k) for k in table.key]
            kinds = [table.column(k).declared for k in table.key]
            yield from key_chunks(
                self._db.table,
                table.source,
                keys,
                [[f"{k}::text"] for k in keys],
                lambda i, texts: f"{text_literal(texts[0])}::{kinds[i]}",
                where=where,
                after=after,
                nulls=not table.facts["partitioned"],
            )
        else:
            yield Chunk(where, streamed=True)

    def _pages(
        self, table: SqlTable, where: str | None, after: Mapping[str, Any] | None
    ) -> Iterator[Chunk]:
        oid = table.facts["oid"]
        size = self._db.rows(
            f"SELECT pg_relation_size({oid}) / current_setting('block_size')::int8 AS pages, "
            f"pg_table_size({oid}) AS bytes, pg_relation_filenode({oid})::int8 AS file"
        )[0]
        pages = int(size["pages"])
        step = max(1, int(pages * _CHUNK_BYTES / max(int(size["bytes"]), 1)))
        first = int(after["page"]) if after else 0
        while True:
            end = first + step
            parts = [f"ctid >= '({first},0)'::tid"]
            if end < pages:
                parts.append(f"ctid < '({end},0)'::tid")
            parts += [f"({where})"] if where else []
            yield Chunk(" AND ".join(parts), {"page": end, "file": size["file"]})
            if end >= pages:
                return
            first = end

    def resumable(self, table: SqlTable, after: Mapping[str, Any]) -> bool:
        heap = table.facts["heap"] and self._version >= _TID_RANGES
        if not heap:
            return "key" in after
        sql = f"SELECT pg_relation_filenode({table.facts['oid']})::int8 AS x"
        return "page" in after and after.get("file") == self._one(sql)  # else it was rewritten

    def misfits(self, table: SqlTable) -> tuple[str, ...]:
        suspects = [c for c in table.columns if pa.types.is_temporal(c.type)]
        dated = [c for c in suspects if not pa.types.is_time(c.type)]
        timed = [c for c in suspects if pa.types.is_time(c.type)]
        tests = {c.name: f"NOT isfinite({quoted(c.name)})" for c in dated}
        tests |= {c.name: f"{quoted(c.name)} = '24:00'" for c in timed}
        if not tests:
            return ()
        asked = ", ".join(f"bool_or({t}) AS c{i}" for i, t in enumerate(tests.values()))
        row = self._db.rows(f"SELECT {asked} FROM {table.source}")[0]
        return tuple(name for i, name in enumerate(tests) if row[f"c{i}"])

    def select(self, table: SqlTable, expressions: Sequence[str], where: str | None) -> pa.Table:
        return self._db.table(_query(table, expressions, where))

    def scan(
        self, table: SqlTable, expressions: Sequence[str], where: str | None
    ) -> Iterator[pa.Table]:
        return self._db.scan(_query(table, expressions, where))

    def _one(self, sql: str) -> Any:
        return self._db.rows(sql)[0]["x"]


def _query(table: SqlTable, expressions: Sequence[str], where: str | None) -> str:
    listed = ", ".join(f"{e} AS c{i}" for i, e in enumerate(expressions))
    return f"SELECT {listed} FROM {table.source}" + (f" WHERE {where}" if where else "")
