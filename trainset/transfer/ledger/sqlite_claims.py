"""Claims in an SQLite ledger: who may send which file now."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from trainset.transfer.base import SourceFile
from trainset.transfer.ledger.base import Claim
from trainset.transfer.ledger.buffered import identity_of, ledger_row
from trainset.transfer.ledger.owner import owner_is_gone

KNOWN = """
SELECT f.state, f.sha256, f.uri, f.version_id, f.facts, f.attempts, f.kind, f.reason,
    f.dead_key IS NOT NULL, c.owner, c.lease_until, c.interrupted
FROM (SELECT 1)
LEFT JOIN files AS f ON f.source_uri = ?1 AND f.version = ?2 AND f.size = ?3
LEFT JOIN claims AS c ON c.source_uri = ?1 AND c.version = ?2 AND c.size = ?3
"""


def claim_files(
    db: sqlite3.Connection, files: Sequence[SourceFile], owner: str, lease_s: float
) -> list[Claim]:
    """In the open transaction of ``db``; see ``base.Ledger.claim``."""
    gone: dict[str, bool] = {"": True}
    claims: list[Claim] = []
    taken: list[tuple[Any, ...]] = []
    now, execute = time.time(), db.execute
    for file in files:
        identity = identity_of(file)
        *values, holder, until, interrupted = execute(KNOWN, identity).fetchone()
        row = None if values[0] is None else ledger_row(values)
        if row is not None and (row.arrived or row.dead):
            claims.append(Claim(True, False, row))
            continue
        if holder is not None and holder != owner:
            if until > now and not _gone(holder, gone):
                claims.append(Claim(False, False, row))
                continue
            interrupted = True
        claims.append(Claim(True, bool(interrupted), row))
        taken.append((*identity, owner, now + lease_s, bool(interrupted)))
    db.executemany("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?, ?)", taken)
    return claims


def _gone(owner: str, known: dict[str, bool]) -> bool:
    if owner not in known:
        known[owner] = owner_is_gone(owner)
    return known[owner]
