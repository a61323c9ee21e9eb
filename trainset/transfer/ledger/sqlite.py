"""The ledger: which source files are at the destination already, so that they need not move again.

Rebuildable, never the truth: without it a run reads the sources again, and the home still knows
its own objects. One SQLite file in WAL mode; rows are written in batches, in short transactions.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trainset.errors import InputError, StoreFull, TransientError
from trainset.model import MediaFacts
from trainset.transfer.base import Outcome, SourceFile
from trainset.transfer.ledger.base import LedgerRow

_LAYOUT = 1  # PRAGMA user_version; another number means: set the file aside, begin anew
_WINDOW_ROWS = 500  # a crash loses at most this many rows …
_WINDOW_S = 0.25  # … or those of this time; they are found again by a HEAD

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    source_uri TEXT NOT NULL,
    version    TEXT NOT NULL,
    size       INTEGER NOT NULL,
    state      TEXT NOT NULL,
    sha256     TEXT,
    uri        TEXT,
    version_id TEXT,
    facts      TEXT,
    attempts   INTEGER NOT NULL,
    kind       TEXT,
    reason     TEXT,
    PRIMARY KEY (source_uri, version, size)
) WITHOUT ROWID
"""
_WRITE = """
INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET state = excluded.state, sha256 = excluded.sha256, uri = excluded.uri,
    version_id = excluded.version_id, facts = excluded.facts,
    attempts = files.attempts + excluded.attempts, kind = excluded.kind, reason = excluded.reason
"""
# What once arrived stays known: a later failure of the same version does not forget it.
_WRITE_FAILURE = """
INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET attempts = files.attempts + excluded.attempts, kind = excluded.kind,
    reason = excluded.reason
"""
_READ = """
SELECT state, sha256, uri, version_id, facts, attempts, kind, reason FROM files
WHERE source_uri = ? AND version = ? AND size = ?
"""

_log = logging.getLogger(__name__)


class SqliteLedger:
    """One ledger file. Threads may share an instance, processes may share the file.

    A file that is no ledger (a disk fault, another layout) is set aside as ``*.broken`` with a
    warning, and a new one is begun.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._waiting: dict[tuple[str, str, int], Outcome] = {}
        self._written_at = time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        with _translated(path):
            try:
                self._db = _connect(path)
            except sqlite3.DatabaseError as err:
                if isinstance(err, sqlite3.OperationalError):
                    raise  # locked, or the disk is full: the file itself may be good
                _set_aside(path, str(err))
                self._db = _connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def find(self, file: SourceFile) -> LedgerRow | None:
        """What is known of this version of the file."""
        with self._lock, _translated(self.path):
            if _identity(file) in self._waiting:
                self.flush()
            row = self._db.execute(_READ, _identity(file)).fetchone()
        return None if row is None else _row(row)

    def record(self, outcome: Outcome) -> None:
        """Note what became of a file; durable after ``flush``, at the latest a window later."""
        with self._lock:
            if _identity(outcome.file) in self._waiting:
                self.flush()
            self._waiting[_identity(outcome.file)] = outcome
            late = time.monotonic() - self._written_at > _WINDOW_S
            if late or len(self._waiting) >= _WINDOW_ROWS:
                self.flush()

    def flush(self) -> None:
        """Commit what waits."""
        with self._lock:
            waiting = list(self._waiting.values())
            if waiting:
                with _translated(self.path), self._db:  # one transaction
                    self._db.execute("BEGIN IMMEDIATE")
                    arrived = [_values(o) for o in waiting if o.arrived]
                    self._db.executemany(_WRITE, arrived)
                    others = [_values(o) for o in waiting if not o.arrived]
                    self._db.executemany(_WRITE_FAILURE, others)
                self._waiting.clear()
            self._written_at = time.monotonic()

    def failures(self) -> Iterator[tuple[str, LedgerRow]]:
        """(source uri, row) of the versions that never arrived, with attempts and last reason."""
        with self._lock:
            self.flush()
            found = self._db.execute(
                "SELECT source_uri, state, sha256, uri, version_id, facts, attempts, kind, reason"
                " FROM files WHERE uri IS NULL ORDER BY source_uri"
            ).fetchall()
        return ((uri, _row(row)) for uri, *row in found)

    def rebuild(self, outcomes: Iterable[Outcome]) -> None:
        """Take over what a media table says, after the ledger was lost."""
        for outcome in outcomes:
            self.record(outcome)
        self.flush()

    def close(self) -> None:
        with self._lock:
            self.flush()
            self._db.close()


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as err:
        if "full" in str(err):
            raise StoreFull(f"{path}: {err}; free some disk space and run again") from err
        if "locked" in str(err) or "busy" in str(err):
            raise TransientError(f"{path}: {err}; another run writes to it; run again") from err
        raise InputError(f"{path}: {err}; check the folder and its disk") from err


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)
    try:
        layout = db.execute("PRAGMA user_version").fetchone()[0]
        if layout not in (0, _LAYOUT):
            raise sqlite3.DatabaseError(f"it has layout {layout}, this version writes {_LAYOUT}")
        db.execute("PRAGMA journal_mode = WAL")
        # Survives kill -9 whole; a power cut may take the last rows, which is harmless here.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(_SCHEMA)
        db.execute(f"PRAGMA user_version = {_LAYOUT}")
        db.execute("SELECT count(*) FROM (SELECT * FROM files LIMIT 1)").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _set_aside(path: Path, why: str) -> None:
    broken = path.with_name(path.name + ".broken")
    _log.warning("%s is set aside as %s: %s; sources are read again", path, broken.name, why)
    path.replace(broken)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _identity(file: SourceFile) -> tuple[str, str, int]:
    return (file.uri, file.version, file.size)


def _values(outcome: Outcome) -> tuple[Any, ...]:
    facts = None if outcome.facts is None else outcome.facts.model_dump_json(exclude_none=True)
    tried = 0 if outcome.status == "skipped" else 1
    return (
        *_identity(outcome.file),
        *(outcome.status, outcome.sha256, outcome.uri, outcome.version_id, facts, tried),
        *(outcome.kind, outcome.reason),
    )


def _row(row: Iterable[Any]) -> LedgerRow:
    state, sha256, uri, version_id, facts, attempts, kind, reason = row
    known = None if facts is None else MediaFacts.model_validate(json.loads(facts))
    return LedgerRow(state, sha256, uri, version_id, known, attempts, kind, reason)
