"""The file of an SQLite ledger: its tables, older layouts, and what is no ledger at all."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainset.errors import InputError, StoreFull, TrainsetError, TransientError
from trainset.stores.seam import Seam

LAYOUT = 2  # PRAGMA user_version; older ones are brought up, newer ones set aside
_BUSY_S = 60  # to wait for another process's transaction
_CACHE_KIB = 32 * 1024
_CHECKPOINT_PAGES = 8000  # 32 MiB of log: the index pages of many commits are copied once

_TABLES = """
CREATE TABLE files (
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
    dead_key   TEXT,
    dead_since REAL,
    dead_run   TEXT,
    UNIQUE (source_uri, version, size)
);
-- 16 of the 64 digits: equal enough to seek by, and a quarter of the index.
CREATE INDEX files_by_content ON files (substr(sha256, 1, 16), uri) WHERE uri IS NOT NULL;
CREATE INDEX files_dead ON files (dead_key) WHERE dead_key IS NOT NULL;
CREATE TABLE contents (
    sha256     TEXT NOT NULL,
    uri        TEXT NOT NULL,
    size       INTEGER NOT NULL,
    version_id TEXT,
    PRIMARY KEY (sha256, uri)
) WITHOUT ROWID;
CREATE TABLE claims (
    source_uri  TEXT NOT NULL,
    version     TEXT NOT NULL,
    size        INTEGER NOT NULL,
    owner       TEXT NOT NULL,
    lease_until REAL NOT NULL,
    interrupted INTEGER NOT NULL,
    PRIMARY KEY (source_uri, version, size)
) WITHOUT ROWID;
CREATE TABLE holds (
    sha256      TEXT PRIMARY KEY,
    owner       TEXT NOT NULL,
    lease_until REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE attempts (
    id         INTEGER PRIMARY KEY,
    source_uri TEXT NOT NULL,
    version    TEXT NOT NULL,
    at         REAL NOT NULL,
    state      TEXT NOT NULL,
    kind       TEXT,
    reason     TEXT,
    run_id     TEXT
);
CREATE INDEX attempts_by_file ON attempts (source_uri);
CREATE TABLE uploads (
    uri        TEXT PRIMARY KEY,
    upload_id  TEXT NOT NULL,
    size       INTEGER NOT NULL,
    part_bytes INTEGER NOT NULL,
    sha256     TEXT
) WITHOUT ROWID;
CREATE TABLE parts (
    uri    TEXT NOT NULL,
    number INTEGER NOT NULL,
    size   INTEGER NOT NULL,
    etag   TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (uri, number)
) WITHOUT ROWID;
-- changes: counts commits. copied_…: what the last copy in the home's store held.
CREATE TABLE notes (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO notes VALUES ('changes', 0)
"""
_FROM_LAYOUT_1 = """
INSERT INTO files (source_uri, version, size, state, sha256, uri, version_id, facts, attempts,
    kind, reason)
SELECT source_uri, version, size, state, sha256, uri, version_id, facts, attempts, kind, reason
FROM files_1;
DROP TABLE files_1
"""

_log = logging.getLogger(__name__)


def open_ledger_file(path: Path) -> sqlite3.Connection:
    """Open or begin the ledger at ``path``; what is no ledger is set aside as ``*.broken``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with translated(path):
        try:
            return _connect(path)
        except sqlite3.DatabaseError as err:
            if isinstance(err, sqlite3.OperationalError):
                raise  # locked, or the disk is full: the file itself may be good
            _set_aside(path, str(err))
            return _connect(path)


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads: a steady view, which holds up nobody who writes."""
    db = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None)
    db.execute("PRAGMA query_only = ON")
    return db


def translated(path: Path) -> Seam:
    """SQLite's errors as ours."""
    return Seam(_ours, path)


def _ours(err: BaseException, path: Path) -> TrainsetError | None:
    if isinstance(err, sqlite3.OperationalError):
        if "full" in str(err):
            return StoreFull(f"{path}: {err}; free some disk space and run again")
        if "locked" in str(err) or "busy" in str(err):
            return TransientError(f"{path}: {err}; another run writes to it; run again")
        return InputError(f"{path}: {err}; check the folder and its disk")
    if isinstance(err, sqlite3.IntegrityError):
        return None  # a fault of ours
    if isinstance(err, sqlite3.DatabaseError):
        return InputError(
            f"{path}: {err}; check the disk, move the file away and run again: it is made anew"
        )
    return None


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; waits for the transaction of another process."""
    db.execute("BEGIN IMMEDIATE")
    with db:
        yield


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None)
    try:
        _check(db)
        db.execute("PRAGMA journal_mode = WAL")
        # NORMAL survives kill -9 whole. A power cut may take the last commits: outcomes and
        # claims, so that a file is sent again or read without need; never parts of an upload.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        if _layout(db) != LAYOUT:
            _bring_up(db, path)
        db.execute("SELECT count(*) FROM (SELECT * FROM files LIMIT 1)").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection) -> None:
    if (layout := _layout(db)) > LAYOUT:
        raise sqlite3.DatabaseError(f"it has layout {layout}, this version writes {LAYOUT}")


def _layout(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _bring_up(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or bring those of layout 1 to this layout; whole, or not at all."""
    with transaction(db):
        if (layout := _layout(db)) == LAYOUT:
            return  # another process was quicker
        if layout == 1:
            _log.info("%s: brought from layout 1 to %d", path, LAYOUT)
            db.execute("ALTER TABLE files RENAME TO files_1")
        for statement in (_TABLES + (";" + _FROM_LAYOUT_1 if layout == 1 else "")).split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {LAYOUT}")


def _set_aside(path: Path, why: str) -> None:
    broken = path.with_name(path.name + ".broken")
    _log.warning("%s is set aside as %s: %s; sources are read again", path, broken.name, why)
    path.replace(broken)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
