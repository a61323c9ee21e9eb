"""Who has which bytes, and who is sending them: the contents of an SQLite ledger."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from trainset.transfer.ledger.base import Content
from trainset.transfer.ledger.owner import owner_is_gone

# By >= and <, because an index seeks by them and not by LIKE. "+": SQLite would put the value into
# the index's expression, and scan.
_CONTENT = """
SELECT uri, size, version_id FROM files
WHERE substr(sha256, 1, 16) = :start AND uri IS NOT NULL AND +sha256 = :sha256
AND uri >= :first AND uri < :after
UNION ALL
SELECT uri, size, version_id FROM contents
WHERE sha256 = :sha256 AND uri >= :first AND uri < :after
LIMIT 1
"""
_OR_RENEW = """
ON CONFLICT (sha256) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until
WHERE holds.owner = excluded.owner OR holds.lease_until <= :now OR holds.owner = :gone
"""
_HOLD = f"INSERT INTO holds VALUES (:sha256, :owner, :until) {_OR_RENEW}"
_TAKE = f"""
INSERT INTO holds SELECT :sha256, :owner, :until WHERE NOT EXISTS ({_CONTENT}) {_OR_RENEW}
"""
_AFTER_ALL = "\U0010ffff"


def find_content(db: sqlite3.Connection, sha256: str, place: str) -> Content | None:
    """Where these bytes are, if some file brought them to a uri that starts with ``place``."""
    found = db.execute(_CONTENT, _content(sha256, place)).fetchone()
    return None if found is None else Content(*found)


def hold(db: sqlite3.Connection, sha256: str, owner: str, lease_s: float) -> bool:
    """See ``Ledger.hold_content``."""
    wanted = _hold(sha256, owner, lease_s)
    if db.execute(_HOLD, wanted).rowcount > 0:
        return True  # by one statement, the usual case
    held = db.execute("SELECT owner FROM holds WHERE sha256 = ?", (sha256,)).fetchone()
    if held is not None and not owner_is_gone(held[0]):
        return False
    return db.execute(_HOLD, {**wanted, "gone": held and held[0]}).rowcount > 0


def take(db: sqlite3.Connection, sha256: str, place: str, owner: str, lease_s: float) -> bool:
    """See ``Ledger.take_content``: one statement, which looks and writes under one lock."""
    wanted = _hold(sha256, owner, lease_s) | _content(sha256, place)
    return db.execute(_TAKE, wanted).rowcount > 0


def let_go(db: sqlite3.Connection, sha256: str, owner: str) -> None:
    """Others may hold it again."""
    db.execute("DELETE FROM holds WHERE sha256 = ? AND owner = ?", (sha256, owner))


def _hold(sha256: str, owner: str, lease_s: float) -> dict[str, Any]:
    now = time.time()
    return {"sha256": sha256, "owner": owner, "until": now + lease_s, "now": now, "gone": None}


def _content(sha256: str, place: str) -> dict[str, Any]:
    after = place + _AFTER_ALL
    return {"sha256": sha256, "start": sha256[:16], "first": place, "after": after}
