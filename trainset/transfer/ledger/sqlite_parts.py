"""Unfinished uploads in an SQLite ledger; each commit is on the disk when its call returns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trainset.stores.base import Part, Upload

if TYPE_CHECKING:
    from trainset.transfer.ledger.sqlite import SqliteLedger


class SqlitePartLog:
    """See ``stores.base.PartLog``; threads may share it."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger

    def find(self, uri: str) -> Upload | None:
        found = self._ledger.one(
            "SELECT upload_id, size, part_bytes, sha256 FROM uploads WHERE uri = ?", (uri,)
        )
        if found is None:
            return None
        upload_id, size, part_bytes, sha256 = found
        return Upload(upload_id=upload_id, size=size, part_bytes=part_bytes, sha256=sha256)

    def begin(self, uri: str, upload: Upload) -> None:
        """Remember a new upload to ``uri``; what was known of an older one goes."""
        values = (uri, upload.upload_id, upload.size, upload.part_bytes, upload.sha256)
        with self._durable() as db:
            db.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)", values)
            db.execute("DELETE FROM parts WHERE uri = ?", (uri,))

    def note(self, uri: str, part: Part) -> None:
        values = (uri, part.number, part.size, part.etag, part.sha256)
        with self._durable() as db:
            db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)", values)

    def parts(self, uri: str) -> list[Part]:
        """By number."""
        found = self._ledger.all(
            "SELECT number, size, etag, sha256 FROM parts WHERE uri = ? ORDER BY number", (uri,)
        )
        return [Part(number=n, size=s, etag=e, sha256=h) for n, s, e, h in found]

    def end(self, uri: str) -> None:
        with self._durable() as db:
            db.execute("DELETE FROM uploads WHERE uri = ?", (uri,))
            db.execute("DELETE FROM parts WHERE uri = ?", (uri,))

    @contextmanager
    def _durable(self) -> Iterator[sqlite3.Connection]:
        """A commit that a power cut does not take: a lost upload id would be paid for until the
        store's lifecycle rule ends the upload, a lost part sent again."""
        with self._ledger.changing(durable=True) as db:
            yield db
