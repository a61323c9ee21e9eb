"""Claims in an SQLite ledger: who may send which file now."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from trainset.transfer.base import SourceFile
from trainset.transfer.ledger.base import Claim
from trainset.transfer.ledger.buffered import identity_of, ledger_row
from trainset.transfer.ledger.owner import owner_is_gone

# One statement for many files: each one costs as much as what it finds.
_KNOWN = """
SELECT f.state, f.sha256, f.uri, f.version_id, f.facts, f.attempts, f.kind, f.reason,
    f.dead_key IS NOT NULL, c.owner, c.lease_until, c.interrupted
FROM (
    SELECT key AS n, json_extract(value, '$[0]') AS source_uri,
        json_extract(value, '$[1]') AS version, json_extract(value, '$[2]') AS size
    FROM json_each(?)
) AS asked
LEFT JOIN files AS f USING (source_uri, version, size)
LEFT JOIN claims AS c USING (source_uri, version, size)
ORDER BY n
"""


def known(db: sqlite3.Connection, files: Sequence[SourceFile]) -> list[tuple[Any, ...]]:
    """What files and claims say of each: the values of a ``LedgerRow``, then owner, until when,
    and whether it was interrupted; nulls where they say nothing."""
    asked = json.dumps([identity_of(file) for file in files])
    return db.execute(_KNOWN, (asked,)).fetchall()


def claim_files(
    db: sqlite3.Connection, files: Sequence[SourceFile], owner: str, lease_s: float
) -> list[Claim]:
    """In the open transaction of ``db``; see ``base.Ledger.claim``."""
    gone: dict[str, bool] = {"": True}
    claims: list[Claim] = []
    taken: list[tuple[Any, ...]] = []
    now = time.time()
    for file, (*values, holder, until, interrupted) in zip(files, known(db, files), strict=True):
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
        taken.append((*identity_of(file), owner, now + lease_s, bool(interrupted)))
    db.executemany("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?, ?)", taken)
    return claims


def _gone(owner: str, known: dict[str, bool]) -> bool:
    if owner not in known:
        known[owner] = owner_is_gone(owner)
    return known[owner]
