"""PostgreSQL alone: its types, what commits late, and what its transaction ids do not prove."""

from __future__ import annotations

import decimal
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from services.postgres import Postgres

from trainset.errors import AccessDenied, TransientError
from trainset.metadata.sql import open_sql
from trainset.metadata.table_base import TableReader

_TYPES = {
    "a_bool": ("bool", "true", pa.bool_(), True),
    "a_int2": ("int2", "7", pa.int16(), 7),
    "a_int4": ("int4", "7", pa.int32(), 7),
    "a_int8": ("int8", "9007199254740993", pa.int64(), 9007199254740993),
    "a_float4": ("float4", "1.5", pa.float32(), 1.5),
    "a_float8": ("float8", "0.1", pa.float64(), 0.1),
    "a_money": ("numeric(12,2)", "1234.50", pa.decimal128(12, 2), decimal.Decimal("1234.50")),
    "a_numeric": ("numeric", "'1e-40'", pa.string(), f"0.{'0' * 39}1"),
    "a_text": ("text", "'ü%''x'", pa.string(), "ü%'x"),
    "a_varchar": ("varchar(9)", "'v'", pa.string(), "v"),
    "a_char": ("char(3)", "'c'", pa.string(), "c  "),
    "a_bytea": ("bytea", r"'\x00ff'", pa.binary(), b"\x00\xff"),
    "a_date": ("date", "'2026-02-28'", pa.date32(), datetime(2026, 2, 28).date()),
    "a_time": ("time", "'10:00:01.5'", pa.time64("us"), datetime(1, 1, 1, 10, 0, 1, 500000).time()),
    "a_ts": ("timestamp", "'2026-01-01 10:00'", pa.timestamp("us"), datetime(2026, 1, 1, 10)),
    "a_tstz": ("timestamptz", "'2026-01-01 10:00+02'", pa.timestamp("us", tz="UTC"),
               datetime(2026, 1, 1, 8, tzinfo=UTC)),
    "a_interval": ("interval", "'1 mon 2 days'", pa.string(), "P1M2D"),
    "a_uuid": ("uuid", "'00000000-0000-0000-0000-00000000000a'", pa.string(),
               "00000000-0000-0000-0000-00000000000a"),
    "a_json": ("json", """'{"b": 1}'""", pa.string(), '{"b": 1}'),
    "a_jsonb": ("jsonb", "'[1,2]'", pa.string(), "[1, 2]"),
    "a_inet": ("inet", "'10.0.0.1/8'", pa.string(), "10.0.0.1/8"),
    "a_point": ("point", "'(1,2)'", pa.string(), "(1,2)"),
    "a_xml": ("xml", "'<a/>'", pa.string(), "<a/>"),
    "a_ints": ("int[]", "'{{1,2},{3,4}}'", pa.string(), "[[1,2],[3,4]]"),
    "a_texts": ("text[]", "'{a,NULL}'", pa.string(), '["a",null]'),
    "a_range": ("int4range", "'[1,5)'", pa.string(), "[1,5)"),
    "a_mood": ("mood", "'happy'", pa.string(), "happy"),
    "a_domain": ("share", "0.25", pa.decimal128(5, 2), decimal.Decimal("0.25")),
    "a_oid": ("oid", "4000000000", pa.int64(), 4000000000),
    "a_bits": ("bit(3)", "B'101'", pa.string(), "101"),
}  # fmt: skip


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
def db(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def sync(reader: TableReader, state: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The ids (or rows) of one sync, in order of id, and the last state."""
    ids: list[Any] = []
    with reader.open("t") as session:
        for batch in session.read(state):
            ids += batch.rows.column("id").to_pylist()
            state = batch.state
    return sorted(ids), state


def test_every_type_is_read_faithfully_and_fits_a_parquet_file(
    url: str, db: psycopg.Connection[Any], tmp_path: Any
) -> None:
    db.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    db.execute("CREATE DOMAIN share AS numeric(5,2) CHECK (VALUE < 100)")
    declared = ", ".join(f"{name} {t[0]}" for name, t in _TYPES.items())
    db.execute(f"CREATE TABLE t (id int PRIMARY KEY, {declared})")
    db.execute(f"INSERT INTO t VALUES (1, {', '.join(t[1] for t in _TYPES.values())})")
    db.execute("INSERT INTO t (id) VALUES (2)")
    with open_sql(url).open("t") as session:
        columns = session.stream().columns
        rows = pa.concat_tables([b.rows for b in session.read({})])
    assert {n: columns.field(n).type for n in _TYPES} == {n: t[2] for n, t in _TYPES.items()}
    assert rows.schema == columns
    first, second = rows.to_pylist()
    assert {n: first[n] for n in _TYPES} == {n: t[3] for n, t in _TYPES.items()}
    assert all(second[n] is None for n in _TYPES)
    pq.write_table(rows, tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").equals(rows)


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("timestamptz", "-infinity", "-infinity"),
        ("timestamp", "infinity", "infinity"),
        ("date", "infinity", "infinity"),
        ("time", "24:00", "24:00:00"),
        ("numeric(9,2)", "NaN", "NaN"),
    ],
)
@pytest.mark.parametrize("view", [False, True])
def test_a_value_that_its_type_cannot_hold_comes_as_text(
    url: str, db: psycopg.Connection[Any], kind: str, value: str, shown: str, view: bool
) -> None:
    db.execute(f"CREATE TABLE {'base' if view else 't'} (id int, x {kind})")
    db.execute(f"INSERT INTO {'base' if view else 't'} VALUES (1, '{value}')")
    if view:
        db.execute("CREATE VIEW t AS SELECT * FROM base")
    with open_sql(url).open("t") as session:
        rows = [r for b in session.read({}) for r in b.rows.to_pylist()]
    assert rows == [{"id": 1, "x": shown}]


@pytest.mark.parametrize("savepoint", [False, True])
def test_a_row_that_is_committed_late_is_not_lost(
    url: str, db: psycopg.Connection[Any], savepoint: bool
) -> None:
    db.execute("CREATE TABLE t (id int PRIMARY KEY, changed timestamptz DEFAULT now())")
    reader = open_sql(url, cursor="changed")
    with psycopg.connect(url) as slow:
        slow.execute("INSERT INTO t VALUES (1, now() - interval '1 day')")
        if savepoint:
            slow.execute("SAVEPOINT s")
            slow.execute("INSERT INTO t VALUES (2, now() - interval '1 day')")
        db.execute("INSERT INTO t VALUES (3)")
        ids, state = sync(reader, {})
        assert ids == [3]
        assert sync(reader, state) == ([], state)  # what the open transaction holds up is once
        slow.commit()
    ids, state = sync(reader, state)
    assert ids == ([1, 2] if savepoint else [1])
    assert sync(reader, state) == ([], state)


def test_other_tables_writes_bring_no_rows(url: str, db: psycopg.Connection[Any]) -> None:
    db.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)")
    db.execute("INSERT INTO t SELECT generate_series(1, 100)")
    reader = open_sql(url)
    _, state = sync(reader, {})
    db.execute("INSERT INTO other VALUES (1)")
    assert sync(reader, state) == ([], state)


def test_only_a_silent_server_proves_that_nothing_was_deleted(
    url: str, db: psycopg.Connection[Any]
) -> None:
    db.execute("CREATE TABLE t (id int PRIMARY KEY)")
    db.execute("INSERT INTO t VALUES (1), (2)")
    reader: Any = open_sql(url)
    _, state = sync(reader, {})
    for delete, proven in ((False, True), (True, False)):
        if delete:
            db.execute("DELETE FROM t WHERE id = 1")
        with reader.open("t") as session:
            assert [b.rows.num_rows for b in session.read(state)] == [0]
            assert session.unchanged is proven


def test_int_becomes_text_and_all_rows_follow(url: str, db: psycopg.Connection[Any]) -> None:
    db.execute("CREATE TABLE t (id int PRIMARY KEY, n int)")
    db.execute("INSERT INTO t VALUES (1, 5), (2, 6)")
    reader = open_sql(url)
    _, state = sync(reader, {})
    db.execute("ALTER TABLE t ALTER n TYPE text")
    db.execute("INSERT INTO t VALUES (3, 'many')")
    with reader.open("t") as session:
        assert session.stream().columns.field("n").type == pa.string()
        rows = [r for b in session.read(state) for r in b.rows.to_pylist()]
    assert sorted((r["id"], r["n"]) for r in rows) == [(1, "5"), (2, "6"), (3, "many")]


def test_a_lost_primary_key_shows_in_the_stream(url: str, db: psycopg.Connection[Any]) -> None:
    db.execute("CREATE TABLE t (id int PRIMARY KEY)")
    with open_sql(url).open("t") as session:
        assert session.stream().key == ("id",)
    db.execute("ALTER TABLE t DROP CONSTRAINT t_pkey")
    with open_sql(url).open("t") as session:
        assert session.stream().key == ()
        assert session.live_keys() is None


def test_another_table_of_that_name_is_read_in_full(url: str, db: psycopg.Connection[Any]) -> None:
    db.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE old (id int PRIMARY KEY)")
    db.execute("INSERT INTO old VALUES (1), (2)")
    reader = open_sql(url)
    _, state = sync(reader, {})
    db.execute("DROP TABLE t; ALTER TABLE old RENAME TO t")
    assert sync(reader, state)[0] == [1, 2]


@pytest.mark.parametrize(
    "change", [{"server": "other/1"}, {"xmin": "1", "xmax": str((1 << 31) + 5)}]
)
def test_marks_that_cannot_be_compared_make_a_full_read(
    url: str, db: psycopg.Connection[Any], change: dict[str, str]
) -> None:
    db.execute("CREATE TABLE t (id int PRIMARY KEY)")
    db.execute("INSERT INTO t VALUES (1), (2)")
    reader = open_sql(url)
    _, state = sync(reader, {})
    if "xmax" in change:  # as if the ids had begun again
        change = {"xmin": change["xmax"]}
    assert sync(reader, {**state, "mark": {**state["mark"], **change}})[0] == [1, 2]


def test_an_attached_partition_is_read(url: str, db: psycopg.Connection[Any]) -> None:
    db.execute("CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    db.execute("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)")
    db.execute("CREATE TABLE t2 (id int NOT NULL PRIMARY KEY)")
    db.execute("INSERT INTO t VALUES (1); INSERT INTO t2 VALUES (11)")
    reader = open_sql(url)
    ids, state = sync(reader, {})
    assert ids == [1]
    db.execute("INSERT INTO t VALUES (2)")
    ids, state = sync(reader, state)
    assert ids == [2]
    db.execute("ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (20)")
    assert sync(reader, state)[0] == [1, 2, 11]


def test_a_rewritten_table_begins_its_first_read_again(
    url: str, db: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainset.metadata.sql.postgres._CHUNK_BYTES", 16 << 10)
    db.execute("CREATE TABLE t (id int PRIMARY KEY)")
    db.execute("INSERT INTO t SELECT generate_series(1, 2000)")
    reader = open_sql(url)
    with reader.open("t") as session:
        state = next(iter(session.read({}))).state
    db.execute("CREATE INDEX back ON t (id DESC)")
    db.execute("CLUSTER t USING back")
    assert sync(reader, state)[0] == list(range(1, 2001))


def test_schemas_and_states_in_plain_json(url: str, db: psycopg.Connection[Any]) -> None:
    db.execute('CREATE SCHEMA "My Labels"')
    db.execute('CREATE TABLE "My Labels".t (id int PRIMARY KEY)')
    (found,) = open_sql(url).discover()
    assert found.name == "My Labels.t"
    with open_sql(url, tables=["My Labels.t"]).open("My Labels.t") as session:
        (*_, last) = session.read({})
    assert json.loads(json.dumps(last.state)) == last.state


def test_a_server_that_is_away_is_tried_again_and_a_wrong_user_is_not(postgres: Postgres) -> None:
    away = postgres.url().replace(f":{postgres.port}/", ":1/")
    with pytest.raises(TransientError, match="try again"):
        open_sql(away).check()
    with pytest.raises(AccessDenied, match="check user and password"):
        open_sql(postgres.url(user="nobody")).check()
