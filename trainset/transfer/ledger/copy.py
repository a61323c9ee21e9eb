"""A copy of an SQLite ledger in the home's bucket, for another machine or after a lost disk.

The copy is one key, written again and again: on a bucket that keeps versions (B2 by default) the
old ones pile up. A lifecycle rule for ``.state/`` that deletes old versions after a day is safe.
"""

from __future__ import annotations

import gzip
import logging
import shutil
import sqlite3
import tempfile
import zlib
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from trainset.stores.base import ObjectStore
from trainset.transfer.ledger.base import Ledger
from trainset.transfer.ledger.sqlite import SqliteLedger
from trainset.transfer.ledger.sqlite_file import LAYOUT, open_reader, translated

COPY_KEY = ".state/ledger.sqlite.gz"
LARGE_BYTES = 256 * 2**20  # a ledger above this is copied …
LARGE_EVERY_S = 600.0  # … no more often than this

_STORY = "source_uri, version, at, state, kind, reason, run_id"
_TAKE_OVER = (
    "DELETE FROM files WHERE uri IS NULL AND (source_uri, version, size) IN"
    " (SELECT source_uri, version, size FROM theirs.files WHERE uri IS NOT NULL)",
    "INSERT OR IGNORE INTO files SELECT * FROM theirs.files",
    "INSERT OR IGNORE INTO contents SELECT * FROM theirs.contents",
    "INSERT OR IGNORE INTO claims SELECT * FROM theirs.claims",
    # Parts belong to one upload id: none of theirs where ours is under way.
    "INSERT INTO parts SELECT * FROM theirs.parts WHERE uri NOT IN (SELECT uri FROM uploads)",
    "INSERT OR IGNORE INTO uploads SELECT * FROM theirs.uploads",
    f"INSERT INTO attempts ({_STORY}) SELECT {_STORY} FROM theirs.attempts"
    f" EXCEPT SELECT {_STORY} FROM attempts",
)

_log = logging.getLogger(__name__)


def copy_to_store(ledger: Ledger, store: ObjectStore, *, now: datetime) -> bool:
    """Copy the ledger to ``.state/ledger.sqlite.gz`` of its home, if it changed; others go on.

    Where another machine wrote the copy since, its rows are taken over first: nothing is lost,
    and the newest copy knows what all of them knew. Two machines at the very same moment may
    lose one's rows from the copy, not from its own file: PostgreSQL is for that.

    Args:
        now: the caller's clock; a ledger above 256 MB is copied every 10 minutes at most.
    Returns:
        Whether it was copied: not when nothing changed, when it is too early, when the home is a
        folder (its ledger lies in it), and for a ledger in PostgreSQL (it is shared already).
    Raises:
        what ``store`` raises; the ledger itself is whole in any case.
    """
    if not isinstance(ledger, SqliteLedger) or store.local_path(COPY_KEY) is not None:
        return False
    ledger.flush()
    notes = _notes(ledger)
    if notes["changes"] == notes.get("copied_changes", 0):
        return False
    early = now.timestamp() - notes.get("copied_at", float("-inf")) < LARGE_EVERY_S
    if early and ledger.path.stat().st_size > LARGE_BYTES:
        return False
    with tempfile.TemporaryDirectory(prefix="ledger-", dir=ledger.path.parent) as folder:
        _take_what_others_wrote(ledger, store, Path(folder))
        changes = _notes(ledger)["changes"]  # before the copy: later changes count for the next
        packed = _packed(ledger, Path(folder))
        info = store.put_file(COPY_KEY, packed, content_type="application/gzip")
    _note(ledger, copied_changes=changes, copied_at=now.timestamp(), copied_version=info.version)
    return True


def fetch_from_store(ledger: Ledger, store: ObjectStore) -> bool:
    """Take over the newest copy in the home's store, if the local ledger is new.

    Claims come too: what another machine holds stays its own until the lease ends, and what a
    killed one began is known as interrupted. A copy that cannot be read is left with a warning.

    Returns:
        Whether there was a copy to take over.
    """
    if not isinstance(ledger, SqliteLedger) or store.local_path(COPY_KEY) is not None:
        return False
    if not ledger.is_new:
        return False
    with tempfile.TemporaryDirectory(prefix="ledger-", dir=ledger.path.parent) as folder:
        return _take_what_others_wrote(ledger, store, Path(folder))


def _take_what_others_wrote(ledger: SqliteLedger, store: ObjectStore, folder: Path) -> bool:
    """Take over the copy in the store, unless this ledger wrote it or knows it."""
    info = store.head(COPY_KEY)
    if info is None or info.version == _notes(ledger).get("copied_version"):
        return False
    packed, whole = folder / "theirs.gz", folder / "theirs.sqlite"
    store.fetch_file(COPY_KEY, packed, durable=False)
    try:
        with gzip.open(packed, "rb") as source, whole.open("wb") as target:
            shutil.copyfileobj(source, target, 2**20)
        taken = _take_over(ledger, whole)
    except (OSError, EOFError, zlib.error, sqlite3.DatabaseError) as err:
        if isinstance(err, OSError) and err.errno is not None:
            raise  # our disk, not the copy
        _log.warning(
            "%s cannot be read (%s); it is written anew, sources may be read again",
            *(store.uri(COPY_KEY), err),
        )
        return False
    _note(ledger, copied_version=info.version)
    return taken


def _take_over(ledger: SqliteLedger, whole: Path) -> bool:
    """Add the rows of another ledger file; where both know a file, an arrival counts, else ours."""
    with closing(open_reader(whole)) as theirs:
        layout = theirs.execute("PRAGMA user_version").fetchone()[0]
        if layout != LAYOUT:
            _log.warning("%s has layout %s, not %d; it is not used", COPY_KEY, layout, LAYOUT)
            return False
        if (found := theirs.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)
    with ledger.attached(whole, "theirs") as db:
        for statement in _TAKE_OVER:
            db.execute(statement)
    return True


def _packed(ledger: SqliteLedger, folder: Path) -> Path:
    """A consistent copy, compressed; made from a reader, so that nobody waits."""
    copy, packed = folder / "copy.sqlite", folder / "copy.gz"
    with (
        translated(ledger.path),
        closing(open_reader(ledger.path)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    with copy.open("rb") as plain, gzip.open(packed, "wb", compresslevel=1) as out:
        shutil.copyfileobj(plain, out, 2**20)
    copy.unlink()
    return packed


def _notes(ledger: SqliteLedger) -> dict[str, Any]:
    return dict(ledger.all("SELECT name, value FROM notes"))


def _note(ledger: SqliteLedger, **notes: Any) -> None:
    with ledger.changing(counts=False) as db:
        db.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?)", notes.items())
