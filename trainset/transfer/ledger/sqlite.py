"""``SqliteLedger``: one file a machine, in WAL mode; the default."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

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
    ledger_row,
)
from trainset.transfer.ledger.sqlite_claims import claim_files, known
from trainset.transfer.ledger.sqlite_contents import find_content, hold, let_go, take
from trainset.transfer.ledger.sqlite_file import (
    open_ledger_file,
    open_reader,
    transaction,
    translated,
)
from trainset.transfer.ledger.sqlite_parts import SqlitePartLog
from trainset.transfer.ledger.sqlite_write import write_outcomes

_ROW = "state, sha256, uri, version_id, facts, attempts, kind, reason, dead_key IS NOT NULL"
_BEGUN = LedgerRow("sending", None, None, None, None, 0, None, None)
_COUNT = "UPDATE notes SET value = value + 1 WHERE name = 'changes'"
_CONTENTS_ROWS = 5000  # of a listing in one transaction


class SqliteLedger(BufferedLedger):
    """One ledger file. Threads may share an instance, processes of one machine the file.

    A file that is no ledger (a disk fault, a newer layout) is set aside as ``*.broken`` with a
    warning, and a new one is begun. Contract: see ``base.Ledger``.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._db = open_ledger_file(path)
        known = self.one("SELECT EXISTS (SELECT 1 FROM files) OR EXISTS (SELECT 1 FROM contents)")
        self._is_new = not known[0]

    @property
    def is_new(self) -> bool:
        """Whether nothing was in it when it was opened: lost, or the first run."""
        return self._is_new

    def find(self, file: SourceFile) -> LedgerRow | None:
        """What is known of this version of the file."""
        self._flush_if_waiting([file])
        with self._lock, translated(self.path):
            ((*row, owner, _, _),) = known(self._db, [file])
        if row[0] is None:
            return None if owner is None else _BEGUN
        return ledger_row(row)

    def claim(
        self, files: Sequence[SourceFile], *, owner: str, lease_s: float = LEASE_S
    ) -> list[Claim]:
        """Take files that nobody else holds; one transaction for all, in the order of ``files``."""
        self._flush_if_waiting(files)
        with self.changing(counts=False) as db:
            return claim_files(db, files, owner, lease_s)

    def renew(self, owner: str, *, lease_s: float = LEASE_S) -> None:
        """Prolong all claims and contents that ``owner`` holds."""
        with self.changing(counts=False):
            until = (time.time() + lease_s, owner)
            self._db.execute("UPDATE claims SET lease_until = ? WHERE owner = ?", until)
            self._db.execute("UPDATE holds SET lease_until = ? WHERE owner = ?", until)

    def release(self, owner: str) -> None:
        """Let go of what ``owner`` holds and has not recorded; it counts as never begun."""
        self.flush()
        with self.changing(counts=False):
            self._db.execute("DELETE FROM claims WHERE owner = ? AND NOT interrupted", (owner,))
            self._db.execute(
                "UPDATE claims SET owner = '', lease_until = 0 WHERE owner = ?", (owner,)
            )
            self._db.execute("DELETE FROM holds WHERE owner = ?", (owner,))

    def know_contents(self, contents: Iterable[tuple[str, Content]]) -> None:
        """Take over (sha256, content) pairs that a listing of the home found."""
        for chunk in chunks(iter(contents), _CONTENTS_ROWS):
            with self.changing():
                self._db.executemany(
                    "INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?)",
                    ((sha256, c.uri, c.size, c.version_id) for sha256, c in chunk),
                )

    def part_log(self) -> PartLog:
        """Memory of multipart uploads."""
        return SqlitePartLog(self)

    def dead_letters(self) -> Iterator[DeadLetter]:
        """All of them, by key."""
        found = self._stream(
            "SELECT dead_key, source_uri, version, size, kind, reason, attempts, dead_since,"
            " dead_run FROM files WHERE dead_key IS NOT NULL ORDER BY dead_key, source_uri, version"
        )
        return map(dead_letter, found)

    def revive(self, keys: Iterable[str] | None = None) -> int:
        """Let dead letters be tried again: those of ``keys``, or all; how many there were."""
        change = "UPDATE files SET dead_key = NULL, dead_since = NULL, dead_run = NULL WHERE"
        with self.changing():
            if keys is None:
                return self._db.execute(f"{change} dead_key IS NOT NULL").rowcount
            each = ((key,) for key in keys)
            return max(0, self._db.executemany(f"{change} dead_key = ?", each).rowcount)

    def attempts(self, source_uri: str) -> Iterator[Attempt]:
        """The tries of all versions of one file, oldest first."""
        found = self._stream(
            "SELECT version, at, state, kind, reason, run_id FROM attempts"
            " WHERE source_uri = ? ORDER BY at, id",
            source_uri,
        )
        return (attempt(source_uri, values) for values in found)

    def files_of(self, sha256: str) -> Iterator[str]:
        """Source uris that brought these bytes, ascending."""
        found = self._stream(
            "SELECT DISTINCT source_uri FROM files WHERE substr(sha256, 1, 16) = ?"
            " AND uri IS NOT NULL AND +sha256 = ? ORDER BY source_uri",
            *(sha256[:16], sha256),
        )
        return (uri for (uri,) in found)

    def rows(self) -> Iterator[tuple[Identity, LedgerRow]]:
        """All that is known, in no order and constant memory."""
        for uri, version, size, *row in self._stream(
            f"SELECT source_uri, version, size, {_ROW} FROM files"
        ):
            yield (uri, version, size), ledger_row(row)

    @contextmanager
    def changing(
        self, *, counts: bool = True, durable: bool = False
    ) -> Iterator[sqlite3.Connection]:
        """One transaction.

        Args:
            counts: it changes what a copy of the ledger should hold.
            durable: on the disk when it ends, with all that was committed before.
        """
        with self._lock, translated(self.path):
            if durable:
                self._db.execute("PRAGMA synchronous = FULL")
            try:
                with transaction(self._db):
                    yield self._db
                    if counts:
                        self._db.execute(_COUNT)
            finally:
                if durable:
                    self._db.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def attached(self, path: Path, name: str) -> Iterator[sqlite3.Connection]:
        """One transaction that also sees another ledger file, as schema ``name``."""
        with self._lock, translated(self.path):
            self._db.execute(f"ATTACH ? AS {name}", (str(path),))
            try:
                with self.changing() as db:
                    yield db
            finally:
                self._db.execute(f"DETACH {name}")

    def one(self, query: str, values: Sequence[Any] = ()) -> Any:
        """The first row, or None."""
        with self._lock, translated(self.path):
            return self._db.execute(query, values).fetchone()

    def all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock, translated(self.path):
            return self._db.execute(query, values).fetchall()

    def _write(self, noted: Sequence[Noted], leaving: Sequence[tuple[str, str]]) -> None:
        with self.changing() as db:
            write_outcomes(db, noted)
            db.executemany("DELETE FROM holds WHERE sha256 = ? AND owner = ?", leaving)

    def _find_content(self, sha256: str, place: str) -> Content | None:
        with self._lock, translated(self.path):
            return find_content(self._db, sha256, place)

    def _hold(self, sha256: str, owner: str, lease_s: float) -> bool:
        with self._lock, translated(self.path):
            return hold(self._db, sha256, owner, lease_s)

    def _take(self, sha256: str, place: str, owner: str, lease_s: float) -> bool:
        with self._lock, translated(self.path):
            return take(self._db, sha256, place, owner, lease_s)

    def _let_go(self, sha256: str, owner: str) -> None:
        with self.changing(counts=False) as db:
            let_go(db, sha256, owner)

    def _close(self) -> None:
        self._db.close()

    def _stream(self, query: str, *values: Any) -> Iterator[Any]:
        self.flush()
        with translated(self.path), closing(open_reader(self.path)) as db:
            yield from db.execute(query, values)
