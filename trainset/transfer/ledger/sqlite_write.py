"""Writing outcomes into an SQLite ledger: file rows, ends of claims, the story of the tries."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from trainset.transfer.ledger.buffered import Noted

_INSERT = """
INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source_uri, version, size) DO UPDATE SET
    attempts = files.attempts + excluded.attempts, kind = excluded.kind, reason = excluded.reason,
    dead_key = excluded.dead_key, dead_since = excluded.dead_since, dead_run = excluded.dead_run,
"""
_ARRIVED = f"""{_INSERT}
    state = excluded.state, sha256 = excluded.sha256, uri = excluded.uri,
    version_id = excluded.version_id, facts = excluded.facts
"""
# What once arrived stays known: a later failure of the same version does not forget it.
_NOT_ARRIVED = f"""{_INSERT}
    state = CASE WHEN files.uri IS NULL THEN excluded.state ELSE files.state END
"""
_SAME_FILE = "source_uri = ? AND version = ? AND size = ?"
_END = f"DELETE FROM claims WHERE {_SAME_FILE}"
# Bytes of a killed owner may still lie at the destination: the next claim must hear of it.
_END_UNSURE = f"UPDATE claims SET owner = '', lease_until = 0 WHERE {_SAME_FILE} AND interrupted"
_END_SURE = f"{_END} AND NOT interrupted"
_TRIED = """
INSERT INTO attempts (source_uri, version, at, state, kind, reason, run_id)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_TRIED_AGAIN = """
INSERT INTO attempts (source_uri, version, at, state, kind, reason, run_id)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM attempts WHERE source_uri = ?1)
"""


def write_outcomes(db: sqlite3.Connection, noted: Sequence[Noted]) -> None:
    """Into the open transaction of ``db``; at most one outcome a file."""
    arrived = [n for n in noted if n.outcome.arrived]
    others = [n for n in noted if not n.outcome.arrived]
    ended = [n.identity for n in others]
    db.executemany(_NOT_ARRIVED, [_file(n) for n in others])
    db.executemany(_END_SURE, ended)
    db.executemany(_END_UNSURE, ended)
    db.executemany(_TRIED, [_attempt(n) for n in others])
    db.executemany(_ARRIVED, [_file(n) for n in arrived])
    db.executemany(_END, [n.identity for n in arrived])
    db.executemany(_TRIED_AGAIN, [_attempt(n) for n in arrived if n.tries])


def _file(n: Noted) -> tuple[Any, ...]:
    o = n.outcome
    dead = (o.file.key, n.at, n.run_id) if n.dead else (None, None, None)
    return (
        *n.identity,
        *(o.status, o.sha256, o.uri, o.version_id, n.facts, n.tries, o.kind, o.reason),
        *dead,
    )


def _attempt(n: Noted) -> tuple[Any, ...]:
    o = n.outcome
    at = n.at if o.at is None else o.at.timestamp()
    return (o.file.uri, o.file.version, at, o.status, o.kind, o.reason, n.run_id)
