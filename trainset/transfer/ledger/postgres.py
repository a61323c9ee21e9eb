"""``PostgresLedger``: one ledger for several hosts; leases by the server's clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from trainset.stores.base import PartLog
from trainset.transfer.base import SourceFile
from trainset.transfer.ledger.base import (
    LEASE_S,
    Attempt,
    Claim,
    Content,
    DeadLetter,
    Identity,
    LedgerRow,
)
from trainset.transfer.ledger.buffered import (
    BufferedLedger,
    Noted,
    attempt,
    chunks,
    dead_letter,
    identity_of,
    ledger_row,
)
from trainset.transfer.ledger.owner import owner_is_gone
from trainset.transfer.ledger.postgres_claims import ROW, claim_ids
from trainset.transfer.ledger.postgres_parts import PostgresPartLog
from trainset.transfer.ledger.postgres_schema import open_schema
from trainset.transfer.ledger.postgres_session import Connection, Session
from trainset.transfer.ledger.postgres_write import know, row_id, write_outcomes

_IS_IT = " WHERE home = %s AND id = %s"
_BEGUN = LedgerRow("sending", None, None, None, None, 0, None, None)
_ROWS = 5000  # in one statement, and of a stream held in memory

_HOLD = """
INSERT INTO trainset_ledger.holds AS h (home, sha256, owner, lease_until)
VALUES (%(home)s, %(sha256)s, %(owner)s, clock_timestamp() + %(lease)s)
ON CONFLICT (home, sha256) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until
WHERE h.owner = excluded.owner OR h.lease_until <= clock_timestamp() OR h.owner = %(gone)s
RETURNING true
"""


class PostgresLedger(BufferedLedger):
    """The ledger of one home in a PostgreSQL database, beside those of other homes.

    Threads share an instance (a few connections), hosts share the database. Contract: see
    ``base.Ledger``.
    """

    def __init__(self, url: str, home_url: str) -> None:
        super().__init__()
        self.session = Session(url)
        self.home, self._is_new = open_schema(self.session, home_url)

    def __repr__(self) -> str:
        return f"PostgresLedger({self.session.place})"

    @property
    def is_new(self) -> bool:
        """Whether nothing was known of this home when it was opened."""
        return self._is_new

    def find(self, file: SourceFile) -> LedgerRow | None:
        """What is known of this version of the file."""
        self._flush_if_waiting([file])
        where = (self.home, row_id(identity_of(file)))
        if found := self.all(f"SELECT {ROW} FROM trainset_ledger.files{_IS_IT}", *where):
            return ledger_row(found[0])
        return _BEGUN if self.all(f"SELECT 1 FROM trainset_ledger.claims{_IS_IT}", *where) else None

    def claim(
        self, files: Sequence[SourceFile], *, owner: str, lease_s: float = LEASE_S
    ) -> list[Claim]:
        """Take files that nobody else holds; one transaction for all, in the order of ``files``."""
        self._flush_if_waiting(files)
        ids = [row_id(identity_of(file)) for file in files]
        return self.session.run(lambda db: claim_ids(db, self.home, ids, owner, lease_s))

    def renew(self, owner: str, *, lease_s: float = LEASE_S) -> None:
        """Prolong all claims and contents that ``owner`` holds."""
        values = [timedelta(seconds=lease_s), self.home, owner]

        def work(db: Connection) -> None:
            for table in ("claims", "holds"):
                db.execute(
                    f"UPDATE trainset_ledger.{table} SET lease_until = clock_timestamp() + %s"
                    " WHERE home = %s AND owner = %s",
                    values,
                )

        self.session.run(work)

    def release(self, owner: str) -> None:
        """Let go of what ``owner`` holds and has not recorded; it counts as never begun."""
        self.flush()
        mine = " WHERE home = %s AND owner = %s"

        def work(db: Connection) -> None:
            where = [self.home, owner]
            db.execute(f"DELETE FROM trainset_ledger.claims{mine} AND NOT interrupted", where)
            db.execute(
                "UPDATE trainset_ledger.claims SET owner = '', lease_until = '-infinity'" + mine,
                where,
            )
            db.execute(f"DELETE FROM trainset_ledger.holds{mine}", where)

        self.session.run(work)

    def know_contents(self, contents: Iterable[tuple[str, Content]]) -> None:
        """Take over (sha256, content) pairs that a listing of the home found."""
        for chunk in chunks(iter(contents), _ROWS):
            pairs = list({(sha256, c.uri): (sha256, c) for sha256, c in chunk}.values())
            self.session.run(partial(know, home=self.home, pairs=pairs))

    def part_log(self) -> PartLog:
        """Memory of multipart uploads."""
        return PostgresPartLog(self)

    def dead_letters(self) -> Iterator[DeadLetter]:
        """All of them, by key."""
        found = self._stream(
            "SELECT dead_key, source_uri, version, size, kind, reason, attempts, dead_since,"
            " dead_run FROM trainset_ledger.files WHERE home = %s AND dead_key IS NOT NULL"
            ' ORDER BY dead_key, source_uri COLLATE "C", version COLLATE "C"',
            self.home,
        )
        return map(dead_letter, found)

    def revive(self, keys: Iterable[str] | None = None) -> int:
        """Let dead letters be tried again: those of ``keys``, or all; how many there were."""
        self.flush()
        change = (
            "UPDATE trainset_ledger.files SET dead_key = NULL, dead_since = NULL, dead_run = NULL"
            " WHERE home = %s AND dead_key IS NOT NULL"
        )
        if keys is None:
            return self._count(change, self.home)
        each = chunks(iter(keys), _ROWS)
        return sum(self._count(f"{change} AND dead_key = ANY(%s)", self.home, c) for c in each)

    def attempts(self, source_uri: str) -> Iterator[Attempt]:
        """The tries of all versions of one file, oldest first."""
        found = self._stream(
            "SELECT version, at, state, kind, reason, run_id FROM trainset_ledger.attempts"
            " WHERE home = %s AND hashtextextended(source_uri, 0) = hashtextextended(%s, 0)"
            " AND source_uri = %s ORDER BY at, id",
            *(self.home, source_uri, source_uri),
        )
        return (attempt(source_uri, values) for values in found)

    def files_of(self, sha256: str) -> Iterator[str]:
        """Source uris that brought these bytes, ascending."""
        found = self._stream(
            'SELECT DISTINCT source_uri COLLATE "C" FROM trainset_ledger.files WHERE home = %s'
            " AND left(sha256, 16) = left(%s, 16) AND uri IS NOT NULL AND sha256 = %s ORDER BY 1",
            *(self.home, sha256, sha256),
        )
        return (uri for (uri,) in found)

    def rows(self) -> Iterator[tuple[Identity, LedgerRow]]:
        """All that is known, in no order and constant memory."""
        for uri, version, size, *row in self._stream(
            f"SELECT source_uri, version, size, {ROW} FROM trainset_ledger.files WHERE home = %s",
            self.home,
        ):
            yield (uri, version, size), ledger_row(row)

    def all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.session.run(lambda db: db.execute(query, values).fetchall())

    def _count(self, change: str, *values: Any) -> int:
        return self.session.run(lambda db: db.execute(change, values).rowcount)

    def _write(self, noted: Sequence[Noted], leaving: Sequence[tuple[str, str]]) -> None:
        def work(db: Connection) -> None:
            write_outcomes(db, self.home, noted)
            if leaving:
                db.execute(
                    "DELETE FROM trainset_ledger.holds AS h USING"
                    " unnest(%s::text[], %s::text[]) AS gone(sha256, owner) WHERE h.home = %s"
                    " AND h.sha256 = gone.sha256 AND h.owner = gone.owner",
                    [[s for s, _ in leaving], [o for _, o in leaving], self.home],
                )

        self.session.run(work)

    def _find_content(self, sha256: str, place: str) -> Content | None:
        start = place[:200]
        where = "AND left(uri, 200) >= %s AND left(uri, 200) <= %s AND starts_with(uri, %s) LIMIT 1"
        values = (sha256, start, f"{start}\U0010ffff", place)
        found = self.all(
            "SELECT uri, size, version_id FROM trainset_ledger.files WHERE home = %s"
            f" AND left(sha256, 16) = left(%s, 16) AND uri IS NOT NULL AND sha256 = %s {where}",
            *(self.home, sha256, *values),
        ) or self.all(
            "SELECT uri, size, version_id FROM trainset_ledger.contents WHERE home = %s"
            f" AND sha256 = %s {where}",
            *(self.home, *values),
        )
        return Content(*found[0]) if found else None

    def _hold(self, sha256: str, owner: str, lease_s: float) -> bool:
        values: dict[str, Any] = {"home": self.home, "sha256": sha256, "owner": owner, "gone": ""}
        values["lease"] = timedelta(seconds=lease_s)

        def work(db: Connection) -> bool:
            if db.execute(_HOLD, values).fetchone():
                return True
            holder = db.execute(
                "SELECT owner FROM trainset_ledger.holds WHERE home = %(home)s"
                " AND sha256 = %(sha256)s",
                values,
            ).fetchone()
            if holder is None or not owner_is_gone(holder[0]):
                return False
            return db.execute(_HOLD, values | {"gone": holder[0]}).fetchone() is not None

        return self.session.run(work)

    def _let_go(self, sha256: str, owner: str) -> None:
        values = [self.home, sha256, owner]
        self.session.run(
            lambda db: db.execute(
                "DELETE FROM trainset_ledger.holds WHERE home = %s AND sha256 = %s AND owner = %s",
                values,
            )
        )

    def _close(self) -> None:
        self.session.close()

    def _stream(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        self.flush()
        with (
            self.session.connection() as db,
            db.transaction(),
            db.cursor(f"stream-{uuid4().hex}") as cursor,
        ):
            cursor.itersize = _ROWS
            yield from cursor.execute(query, values)
