"""What every SQL database keeps: one suite over PostgreSQL, SQLite and any other by SQLAlchemy."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from services.postgres import Postgres

from trainset.errors import InputError, NotFound
from trainset.metadata.sql import open_sql
from trainset.metadata.sql.connection import SqlConnection
from trainset.metadata.table_base import TableReader

_TABLE = """
CREATE TABLE labels (id INTEGER PRIMARY KEY, path TEXT, score DOUBLE PRECISION, changed BIGINT)
"""


class Source:
    """One database under test, written to by a connection of its own."""

    def __init__(self, kind: str, url: str, execute: Callable[..., Any]) -> None:
        self.kind, self.url, self.execute = kind, url, execute

    def reader(self, **options: Any) -> TableReader:
        return open_sql(self.url, **{"cursor": {"labels": "changed"}} | options)

    def fill(self, rows: int, first: int = 1) -> None:
        for n in range(first, first + rows):
            self.execute(f"INSERT INTO labels VALUES ({n}, 'cam/{n}.jpg', {n}.5, {n})")


def read(
    reader: TableReader, state: dict[str, Any], *, stream: str = "labels", full: bool = False
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """All rows of one sync, sorted, and the last state."""
    rows: list[dict[str, Any]] = []
    with reader.open(stream, full=full) as session:
        for batch in session.read(state):
            rows += batch.rows.to_pylist()
            state = batch.state
    return sorted(rows, key=lambda r: str(r.get("id"))), state


def live(reader: TableReader) -> set[Any]:
    with reader.open("labels") as session:
        list(session.read({}))
        keys = session.live_keys()
        assert keys is not None
        return {row["id"] for rows in keys for row in rows.to_pylist()}


@pytest.fixture(params=["postgres", "sqlite", "alchemy"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.new_database()
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(_TABLE)
            yield Source("postgres", url, db.execute)
        return
    path = tmp_path / "labels.db"
    with sqlite3.connect(path, isolation_level=None) as lite:
        lite.execute(_TABLE)
        scheme = "sqlite" if request.param == "sqlite" else "sqlite+pysqlite"
        yield Source(request.param, f"{scheme}:///{path}", lite.execute)
    lite.close()


def test_discover_tells_columns_key_and_cursor(source: Source) -> None:
    (found,) = source.reader().discover()
    assert (found.name, found.key, found.cursor) == ("labels", ("id",), "changed")
    assert found.columns.names == ["id", "path", "score", "changed"]
    assert pa.types.is_integer(found.columns.field("id").type)
    assert found.columns.field("path").type == pa.string()
    assert found.columns.field("score").type == pa.float64()


def test_a_second_sync_gives_only_what_changed(source: Source) -> None:
    source.fill(5)
    reader = source.reader()
    rows, state = read(reader, {})
    assert [r["id"] for r in rows] == [1, 2, 3, 4, 5]
    assert rows[0] == {"id": 1, "path": "cam/1.jpg", "score": 1.5, "changed": 1}
    source.execute("UPDATE labels SET path = 'new', changed = 9 WHERE id = 2")
    source.fill(1, first=6)
    rows, state = read(reader, state)
    assert [(r["id"], r["path"]) for r in rows] == [(2, "new"), (6, "cam/6.jpg")]


def test_when_nothing_changed_there_are_no_rows_and_the_state_stays(source: Source) -> None:
    source.fill(3)
    reader = source.reader()
    _, state = read(reader, {})
    assert read(reader, state) == ([], state)


def test_rows_at_the_boundary_are_given_once(source: Source) -> None:
    source.fill(3)
    reader = source.reader()
    _, state = read(reader, {})
    source.execute("INSERT INTO labels VALUES (7, 'same cursor', 0.5, 3)")
    rows, state = read(reader, state)
    assert [r["id"] for r in rows] == [7]
    source.execute("UPDATE labels SET path = 'again' WHERE id = 7")  # the cursor stays
    rows, state = read(reader, state)
    assert [r["path"] for r in rows] == ["again"]


def test_a_lag_finds_rows_behind_the_cursor(source: Source) -> None:
    source.fill(9)
    reader = source.reader(lag=4)
    _, state = read(reader, {})
    source.execute("INSERT INTO labels VALUES (20, 'late', 0.5, 6)")
    rows, _ = read(reader, state)
    assert [r["id"] for r in rows] == [20]


def test_deleted_rows_are_not_among_the_live_keys(source: Source) -> None:
    source.fill(4)
    source.execute("DELETE FROM labels WHERE id = 3")
    assert live(source.reader()) == {1, 2, 4}


def test_rows_schema_and_keys_are_of_one_snapshot(source: Source) -> None:
    if source.kind != "postgres":
        source.execute("PRAGMA journal_mode = WAL")  # else the writer would wait for the reader
    source.fill(3)
    with source.reader().open("labels") as session:
        source.fill(1, first=4)
        source.execute("DELETE FROM labels WHERE id = 1")
        rows = [r["id"] for b in session.read({}) for r in b.rows.to_pylist()]
        keys = session.live_keys()
        assert keys is not None
        assert sorted(rows) == [1, 2, 3]
        assert sorted(r["id"] for k in keys for r in k.to_pylist()) == [1, 2, 3]


def test_a_new_column_without_default_needs_no_old_rows(source: Source) -> None:
    source.fill(3)
    reader = source.reader()
    _, state = read(reader, {})
    source.execute("ALTER TABLE labels ADD COLUMN author TEXT")
    rows, state = read(reader, state)
    assert rows == []
    source.execute("UPDATE labels SET author = 'ann', changed = 8 WHERE id = 1")
    rows, _ = read(reader, state)
    assert [(r["id"], r["author"]) for r in rows] == [(1, "ann")]


@pytest.mark.parametrize(
    "change",
    ["ADD COLUMN author TEXT DEFAULT 'ann'", "RENAME COLUMN path TO author"],
)
def test_a_column_with_values_in_old_rows_is_read_in_full(source: Source, change: str) -> None:
    source.fill(3)
    reader = source.reader()
    _, state = read(reader, {})
    source.execute(f"ALTER TABLE labels {change}")
    rows, state = read(reader, state)
    assert [bool(r["author"]) for r in rows] == [True, True, True]
    assert read(reader, state)[0] == []


def test_full_gives_every_row_whatever_the_state_says(source: Source) -> None:
    source.fill(3)
    reader = source.reader()
    _, state = read(reader, {})
    assert len(read(reader, state, full=True)[0]) == 3


def test_a_lost_key_or_cursor_is_named_before_anything_is_read(source: Source) -> None:
    source.fill(1)
    with pytest.raises(InputError, match="no column 'gone', which is its cursor"):
        source.reader(cursor={"labels": "gone"}).open("labels")
    with pytest.raises(InputError, match="no column 'gone', which is its key"):
        source.reader(key=["gone"]).check()
    with pytest.raises(NotFound, match="labels"):
        source.reader().open("nothing_of_this_name")


def test_odd_names_are_quoted(source: Source) -> None:
    source.execute('CREATE TABLE "Odd ""name; x" ("select" INTEGER PRIMARY KEY, "a b" TEXT)')
    source.execute("INSERT INTO \"Odd \"\"name; x\" VALUES (1, 'it''s')")
    rows, _ = read(source.reader(cursor=None), {}, stream='Odd "name; x')
    assert rows == [{"select": 1, "a b": "it's"}]


def test_a_view_is_read_with_the_key_and_cursor_one_names(source: Source) -> None:
    source.fill(3)
    source.execute("CREATE VIEW seen AS SELECT id, path, changed FROM labels")
    reader = source.reader(tables=["seen"], key={"seen": ["id"]}, cursor={"seen": "changed"})
    rows, state = read(reader, {}, stream="seen")
    assert len(rows) == 3
    source.fill(1, first=4)
    assert [r["id"] for r in read(reader, state, stream="seen")[0]] == [4]


def test_a_killed_first_read_goes_on_and_finds_what_changed_behind_it(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainset.metadata.sql.keyset.ROWS", 100)
    monkeypatch.setattr("trainset.metadata.sql.postgres._CHUNK_BYTES", 16 << 10)
    source.execute("BEGIN")
    source.fill(1000)
    source.execute("COMMIT")
    reader = source.reader()
    stored: dict[int, str] = {}
    with reader.open("labels") as session:
        batches = session.read({})
        for _ in range(2):
            batch = next(batches)
            while not batch.rows.num_rows:
                batch = next(batches)
            stored |= {r["id"]: r["path"] for r in batch.rows.to_pylist()}
            state = batch.state
        del batches
    assert 0 < len(stored) < 1000
    first = min(stored)
    source.execute(f"UPDATE labels SET path = 'behind', changed = 5000 WHERE id = {first}")
    source.execute("INSERT INTO labels VALUES (-1, 'before all', 0.5, 5001)")
    rows, state = read(reader, state)
    assert len(rows) <= 1000 - len(stored) + 2 * 150  # not from the beginning
    stored |= {r["id"]: r["path"] for r in rows}
    assert len(stored) == 1001
    assert (stored[first], stored[-1]) == ("behind", "before all")
    assert read(reader, state)[0] == []


def test_a_state_of_another_reader_is_refused(source: Source) -> None:
    with (
        source.reader().open("labels") as session,
        pytest.raises(InputError, match="not written by the SQL reader"),
    ):
        list(session.read({"files": {"a.csv": "etag"}}))


def test_no_secret_is_in_state_repr_or_errors(postgres: Postgres) -> None:
    wrong = postgres.url(password="not/the@one")
    reader = open_sql(wrong)
    with pytest.raises(InputError) as caught:
        reader.check()
    shown = f"{caught.value!r} {caught.value} {reader!r} {SqlConnection.of(wrong)!r}"
    assert "not/the@one" not in shown
    assert "not%2Fthe%40one" not in shown
    assert caught.value.__cause__ is None
    assert "check user and password" in str(caught.value)
