"""What tables a PostgreSQL database has, from its catalog: two queries, some milliseconds."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from trainset.metadata.sql.adbc import AdbcConnection
from trainset.metadata.sql.base import Column, SqlTable
from trainset.metadata.sql.postgres_types import read_as

_TABLES = """
SELECT c.oid::int8 AS oid, n.nspname::text AS space, c.relname::text AS name,
  c.relkind::text AS kind, c.reltuples::float8 AS rows, pg_table_is_visible(c.oid) AS visible,
  row_security_active(c.oid) AS filtered, coalesce(am.amname::text, '') AS storage,
  EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid) AS children,
  (SELECT json_agg(a.attname ORDER BY k.place)::text
     FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(number, place)
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
    WHERE i.indrelid = c.oid AND i.indisprimary) AS key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = c.relam
WHERE c.relkind IN ('r', 'm', 'p', 'v', 'f') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
ORDER BY n.nspname, c.relname
"""
# A domain is read as the type under it, whose modifier is the domain's own.
_COLUMNS = """
SELECT a.attrelid::int8 AS oid, a.attname::text AS name, a.attnum::int4 AS number,
  a.atthasmissing OR a.attgenerated = 'v' AS backfilled, b.typname::text AS type,
  b.typcategory::text AS category, t.typmod AS typmod, format_type(a.atttypid, a.atttypmod) AS full
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
CROSS JOIN LATERAL (
  WITH RECURSIVE base(type, typmod) AS (
    SELECT a.atttypid, a.atttypmod
    UNION ALL
    SELECT d.typbasetype, d.typtypmod FROM base JOIN pg_type d ON d.oid = base.type
     WHERE d.typtype = 'd')
  SELECT base.type, base.typmod FROM base JOIN pg_type d ON d.oid = base.type
   WHERE d.typtype <> 'd') t
JOIN pg_type b ON b.oid = t.type
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY (ARRAY[{oids}]::oid[])
ORDER BY a.attrelid, a.attnum
"""


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def list_tables(db: AdbcConnection, name: str | None = None) -> list[SqlTable]:
    """Tables, partitioned tables, views, materialised views and foreign tables one may read.

    Args:
        name: only what has this name (``table`` or ``schema.table``, as it is written, unquoted).
    """
    found = [t for t in db.rows(_TABLES) if name in (None, _name(t), f"{t['space']}.{t['name']}")]
    if not found:
        return []
    columns: dict[int, list[Column]] = defaultdict(list)
    oids = ", ".join(str(t["oid"]) for t in found)
    for row in db.rows(_COLUMNS.format(oids=oids)):
        columns[row["oid"]].append(_column(row))
    return [_table(t, tuple(columns[t["oid"]])) for t in found]


def _table(row: dict[str, Any], columns: tuple[Column, ...]) -> SqlTable:
    rows = int(row["rows"])
    parent = row["kind"] == "r" and row["children"]
    return SqlTable(
        name=_name(row),
        source=f"{quoted(row['space'])}.{quoted(row['name'])}",
        columns=columns,
        key=tuple(json.loads(row["key"] or "[]")),
        rows=rows if rows >= 0 and row["kind"] != "v" else None,
        facts={
            "oid": row["oid"],
            # Rows of a parent are those of its children, rows behind a policy come into sight
            # without being written: there xmin proves nothing.
            "versioned": row["kind"] in "rmp" and not row["filtered"] and not parent,
            "heap": row["kind"] in "rm" and row["storage"] == "heap" and not parent,
            "partitioned": row["kind"] == "p",
        },
    )


def _column(row: dict[str, Any]) -> Column:
    kind, sql, text = read_as(quoted(row["name"]), row["type"], row["category"], row["typmod"])
    return Column(
        name=row["name"],
        type=kind,
        sql=sql,
        text=text,
        number=row["number"],
        backfilled=row["backfilled"],
        declared=row["full"],
    )


def _name(row: dict[str, Any]) -> str:
    return row["name"] if row["visible"] else f"{row['space']}.{row['name']}"
