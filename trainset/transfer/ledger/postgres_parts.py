"""Unfinished uploads in a PostgreSQL ledger, so that another host can go on with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainset.stores.base import Part, Upload
from trainset.transfer.ledger.postgres_session import Connection

if TYPE_CHECKING:
    from trainset.transfer.ledger.postgres import PostgresLedger

_BEGIN = """
INSERT INTO trainset_ledger.uploads (home, uri, upload_id, size, part_bytes, sha256)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (home, uri) DO UPDATE SET upload_id = excluded.upload_id, size = excluded.size,
    part_bytes = excluded.part_bytes, sha256 = excluded.sha256
"""
_NOTE = """
INSERT INTO trainset_ledger.parts (home, uri, number, size, etag, sha256)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (home, uri, number) DO UPDATE SET size = excluded.size, etag = excluded.etag,
    sha256 = excluded.sha256
"""
_FORGET = "DELETE FROM trainset_ledger.{} WHERE home = %s AND uri = %s"


class PostgresPartLog:
    """See ``stores.base.PartLog``; threads may share it."""

    def __init__(self, ledger: PostgresLedger) -> None:
        self._ledger = ledger

    def find(self, uri: str) -> Upload | None:
        found = self._ledger.all(
            "SELECT upload_id, size, part_bytes, sha256 FROM trainset_ledger.uploads"
            " WHERE home = %s AND uri = %s",
            *(self._ledger.home, uri),
        )
        if not found:
            return None
        upload_id, size, part_bytes, sha256 = found[0]
        return Upload(upload_id=upload_id, size=size, part_bytes=part_bytes, sha256=sha256)

    def begin(self, uri: str, upload: Upload) -> None:
        """Remember a new upload to ``uri``; what was known of an older one goes."""
        u = upload

        def work(db: Connection) -> None:
            values = [self._ledger.home, uri, u.upload_id, u.size, u.part_bytes, u.sha256]
            db.execute(_BEGIN, values)
            db.execute(_FORGET.format("parts"), values[:2])

        self._ledger.session.run(work)

    def note(self, uri: str, part: Part) -> None:
        values = [self._ledger.home, uri, part.number, part.size, part.etag, part.sha256]
        self._ledger.session.run(lambda db: db.execute(_NOTE, values))

    def parts(self, uri: str) -> list[Part]:
        """By number."""
        found = self._ledger.all(
            "SELECT number, size, etag, sha256 FROM trainset_ledger.parts"
            " WHERE home = %s AND uri = %s ORDER BY number",
            *(self._ledger.home, uri),
        )
        return [Part(number=n, size=s, etag=e, sha256=h) for n, s, e, h in found]

    def end(self, uri: str) -> None:
        def work(db: Connection) -> None:
            for table in ("uploads", "parts"):
                db.execute(_FORGET.format(table), [self._ledger.home, uri])

        self._ledger.session.run(work)
