"""One sync of one table: rows, live keys and schema out of one snapshot.

An interrupted first read goes on in a later snapshot. Rows that changed behind it meanwhile are
read by the incremental read from where it *began*, which follows in the same session.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from trainset.metadata.base import State
from trainset.metadata.sql.base import Chunk, Database, Mark, SqlTable
from trainset.metadata.sql.boundary import Boundary
from trainset.metadata.sql.conform import conform
from trainset.metadata.sql.progress import Progress, Way, choose_way, numbers
from trainset.metadata.table_base import TableBatch, TableStream


class SqlSession:
    """A ``TableSession`` over any ``Database``.

    Args:
        database: connected; the session begins its snapshot and closes it.
        table: as described inside the snapshot, with the key of the user's choice.
        cursor: the column that grows with every change.
        lag: how far behind the greatest cursor a row may still appear; None: the default.
        full: every row is wanted.
    """

    def __init__(
        self,
        database: Database,
        table: SqlTable,
        *,
        cursor: str | None,
        lag: float | None,
        full: bool,
    ) -> None:
        self._db, self._table = database, table
        self._cursor, self._lag, self._full = cursor, lag, full
        self._unchanged = False

    def __enter__(self) -> SqlSession:
        return self

    def __exit__(self, *error: object) -> None:
        self._db.close()

    def stream(self) -> TableStream:
        return to_stream(self._table, self._cursor)

    @property
    def unchanged(self) -> bool:
        """After ``read``: proven that nothing changed since the state, deletes included."""
        return self._unchanged

    def read(self, state: State) -> Iterator[TableBatch]:
        """Rows since ``state``; the table of a batch has the types of ``stream().columns``.

        Where a value does not fit its type, that batch has the column as text. When no row is new,
        the one empty batch brings ``state`` itself.
        """
        past = Progress.of_state(state)
        now = self._db.mark(self._table)
        way, where = self._way(past, now)
        if way is Way.ALL:
            yield from self._everything(past, now)
        elif past is not None:
            yield from self._changes(past, now, way, where)

    def live_keys(self) -> Iterator[pa.Table] | None:
        """The key columns of every row, in the snapshot of ``read``; None without a key."""
        return self._keys() if self._table.key else None

    def _keys(self) -> Iterator[pa.Table]:
        columns = [self._table.column(name) for name in self._table.key]
        schema = pa.schema([(c.name, c.type) for c in columns])
        for rows in self._db.scan(self._table, [c.sql for c in columns], None):
            yield conform(rows, schema)[0]

    def _way(self, past: Progress | None, now: Mark) -> tuple[Way, str | None]:
        written = self._db.written_since(self._table, past.mark, now) if past else None
        way = choose_way(
            past,
            self._table,
            cursor=self._cursor,
            full=self._full,
            unchanged=past is not None and self._db.unchanged(past.mark, now),
            written_since=written is not None,
        )
        if way is Way.CURSOR and past and past.cursor and past.last is not None:
            return way, self._db.since(self._table, past.cursor, past.last, self._lag)
        return way, written

    def _everything(self, past: Progress | None, now: Mark) -> Iterator[TableBatch]:
        table = self._table
        resumed = past is not None and self._goes_on(past, now)
        begun = past if past is not None and resumed else self._progress(now)
        boundary = Boundary(())
        again = None if resumed else self._again(begun, now)
        for chunk in self._db.chunks(table, None, begun.at if resumed else None):
            state = {} if chunk.after is None else _at(begun, chunk.after).to_state()
            for rows in self._rows(chunk, again, boundary):
                yield TableBatch(rows=rows, state=state)
        done = begun.model_copy(update={"at": None, "seen": boundary.seen})
        if not resumed:
            yield TableBatch(rows=self._no_rows(), state=done.to_state())
            return
        self._full = False  # what was asked for in full has been read; now what changed meanwhile
        way, where = self._way(done, now)
        if way in (Way.WRITTEN, Way.CURSOR):
            yield from self._changes(done, now, way, where)
        else:  # its mark is old: the next sync sees that, and reads all where nothing else helps
            yield TableBatch(rows=self._no_rows(), state=done.to_state())

    def _goes_on(self, past: Progress, now: Mark) -> bool:
        if past.at is None or past.columns != numbers(self._table):
            return False
        versioned = self._db.written_since(self._table, past.mark, now)
        if versioned is None and "oid" in past.mark and past.mark.get("oid") != now.get("oid"):
            return False
        return self._db.resumable(self._table, past.at)

    def _changes(
        self, past: Progress, now: Mark, way: Way, where: str | None
    ) -> Iterator[TableBatch]:
        old = past.to_state()
        if way is Way.NOTHING:
            self._unchanged = True
            yield TableBatch(rows=self._no_rows(), state=old)
            return
        progress = self._progress(now)
        again = self._again(progress, now)
        boundary = Boundary(past.seen)
        found = 0
        for chunk in self._db.chunks(self._table, where, None):
            for rows in self._rows(chunk, again, boundary):
                found += rows.num_rows
                if rows.num_rows:
                    yield TableBatch(rows=rows, state=old)
        same = not found and progress.columns == past.columns
        if same and not self._db.stale(past.mark):
            # The old marks are still right, and a state that stays the same is no commit.
            yield TableBatch(rows=self._no_rows(), state=old)
            return
        done = progress.model_copy(update={"seen": boundary.seen})
        yield TableBatch(rows=self._no_rows(), state=done.to_state())

    def _progress(self, now: Mark) -> Progress:
        last = self._db.newest(self._table, self._cursor) if self._cursor else None
        return Progress(mark=now, columns=numbers(self._table), cursor=self._cursor, last=last)

    def _again(self, progress: Progress, now: Mark) -> str | None:
        """The predicate of rows that the next sync, going on from ``progress``, reads again."""
        if self._db.written_since(self._table, now, now) is not None:
            return self._db.unsettled(self._table, now)
        if progress.cursor is None or progress.last is None:
            return None
        return self._db.since(self._table, progress.cursor, progress.last, self._lag)

    def _rows(self, chunk: Chunk, again: str | None, boundary: Boundary) -> Iterator[pa.Table]:
        if chunk.streamed:
            text = self._db.misfits(self._table)
            for raw in self._db.scan(self._table, self._asked(text, again), chunk.where):
                rows, _ = self._conformed(raw, text)
                yield boundary.take(rows, _flag(raw, again))
            return
        raw = self._db.select(self._table, self._asked((), again), chunk.where)
        rows, misfits = self._conformed(raw, ())
        if misfits:
            raw = self._db.select(self._table, self._asked(misfits, again), chunk.where)
            rows, _ = self._conformed(raw, misfits)
        yield boundary.take(rows, _flag(raw, again))

    def _asked(self, text: Sequence[str], again: str | None) -> list[str]:
        asked = [c.text if c.name in text else c.sql for c in self._table.columns]
        return [*asked, f"coalesce({again}, false)"] if again else asked

    def _conformed(self, raw: pa.Table, text: Sequence[str]) -> tuple[pa.Table, tuple[str, ...]]:
        names = [pa.string() if c.name in text else c.type for c in self._table.columns]
        schema = pa.schema(list(zip(self._table.schema.names, names, strict=True)))
        return conform(raw, schema)

    def _no_rows(self) -> pa.Table:
        return self._table.schema.empty_table()


def to_stream(table: SqlTable, cursor: str | None) -> TableStream:
    return TableStream(
        name=table.name, columns=table.schema, key=table.key, cursor=cursor, rows=table.rows
    )


def _flag(raw: pa.Table, again: str | None) -> pa.ChunkedArray | None:
    return raw.column(raw.num_columns - 1).cast(pa.bool_()) if again else None


def _at(begun: Progress, after: dict[str, Any]) -> Progress:
    return begun.model_copy(update={"at": after})
