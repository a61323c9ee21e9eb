"""Writing into a PostgreSQL ledger: a whole window of outcomes in a handful of statements."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from trainset.transfer.ledger.base import Content, Identity
from trainset.transfer.ledger.buffered import Noted
from trainset.transfer.ledger.postgres_session import Connection

_FILE = {
    "id": "bytea",
    "source_uri": "text",
    "version": "text",
    "size": "bigint",
    "state": "text",
    "sha256": "text",
    "uri": "text",
    "version_id": "text",
    "facts": "text",
    "attempts": "int",
    "kind": "text",
    "reason": "text",
    "dead_key": "text",
    "dead_since": "timestamptz",
    "dead_run": "text",
}
_ATTEMPT = {
    "source_uri": "text",
    "version": "text",
    "at": "timestamptz",
    "state": "text",
    "kind": "text",
    "reason": "text",
    "run_id": "text",
}


def _from_arrays(columns: dict[str, str]) -> str:
    names, arrays = ", ".join(columns), ", ".join(f"%s::{kind}[]" for kind in columns.values())
    return f"SELECT %s::int, {names} FROM unnest({arrays}) AS new({names})"


_INSERT = f"""
INSERT INTO trainset_ledger.files AS old (home, {", ".join(_FILE)})
{_from_arrays(_FILE)} ORDER BY id
ON CONFLICT (home, id) DO UPDATE SET
    attempts = old.attempts + excluded.attempts, kind = excluded.kind, reason = excluded.reason,
    dead_key = excluded.dead_key, dead_since = excluded.dead_since, dead_run = excluded.dead_run,
"""
_ARRIVED = f"""{_INSERT}
    state = excluded.state, sha256 = excluded.sha256, uri = excluded.uri,
    version_id = excluded.version_id, facts = excluded.facts
"""
# What once arrived stays known: a later failure of the same version does not forget it.
_NOT_ARRIVED = f"""{_INSERT}
    state = CASE WHEN old.uri IS NULL THEN excluded.state ELSE old.state END
"""
# Sorted locks, as in a claim: no circle of waiting.
_LOCK = """
SELECT 1 FROM trainset_ledger.claims WHERE home = %s AND id = ANY(%s) ORDER BY id FOR UPDATE
"""
_END = "DELETE FROM trainset_ledger.claims WHERE home = %s AND id = ANY(%s)"
# Bytes of a killed owner may still lie at the destination: the next claim must hear of it.
_END_SURE = f"{_END} AND NOT interrupted"
_END_UNSURE = """
UPDATE trainset_ledger.claims SET owner = '', lease_until = '-infinity'
WHERE home = %s AND id = ANY(%s)
"""
_TRIED = f"""
INSERT INTO trainset_ledger.attempts (home, {", ".join(_ATTEMPT)})
{_from_arrays(_ATTEMPT)}
"""
_TRIED_AGAIN = f"""{_TRIED} WHERE EXISTS (SELECT 1 FROM trainset_ledger.attempts AS a
    WHERE a.home = %s AND a.source_uri = new.source_uri
    AND hashtextextended(a.source_uri, 0) = hashtextextended(new.source_uri, 0))
"""
_KNOW = """
INSERT INTO trainset_ledger.contents (home, sha256, uri, size, version_id)
SELECT %s::int, s, u, b, v
FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[]) AS new(s, u, b, v) ORDER BY s, u
ON CONFLICT (home, sha256, uri) DO UPDATE SET size = excluded.size,
    version_id = excluded.version_id
"""


def row_id(identity: Identity) -> bytes:
    """16 bytes that stand for a file's identity."""
    text = "\0".join(map(str, identity))
    return hashlib.sha256(text.encode()).digest()[:16]


def write_outcomes(db: Connection, home: int, noted: Sequence[Noted]) -> None:
    """Into the open transaction of ``db``; at most one outcome a file."""
    if not noted:
        return
    db.execute(_LOCK, [home, [row_id(n.identity) for n in noted]])
    arrived = [n for n in noted if n.outcome.arrived]
    others = [n for n in noted if not n.outcome.arrived]
    if others:
        ended = [home, [row_id(n.identity) for n in others]]
        db.execute(_NOT_ARRIVED, [home, *_columns([_file(n) for n in others])])
        db.execute(_END_SURE, ended)
        db.execute(_END_UNSURE, ended)
        db.execute(_TRIED, [home, *_columns([_attempt(n) for n in others])])
    if arrived:
        db.execute(_ARRIVED, [home, *_columns([_file(n) for n in arrived])])
        db.execute(_END, [home, [row_id(n.identity) for n in arrived]])
    if tried := [_attempt(n) for n in arrived if n.tries]:
        db.execute(_TRIED_AGAIN, [home, *_columns(tried), home])


def know(db: Connection, home: int, pairs: Sequence[tuple[str, Content]]) -> None:
    """Into the open transaction of ``db``; each content once."""
    rows = [(sha256, c.uri, c.size, c.version_id) for sha256, c in pairs]
    db.execute(_KNOW, [home, *_columns(rows)])


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _file(n: Noted) -> tuple[Any, ...]:
    o = n.outcome
    dead = (o.file.key, datetime.fromtimestamp(n.at, UTC), n.run_id) if n.dead else (None,) * 3
    return (
        *(row_id(n.identity), *n.identity),
        *(o.status, o.sha256, o.uri, o.version_id, n.facts, n.tries, o.kind, _text(o.reason)),
        *dead,
    )


def _attempt(n: Noted) -> tuple[Any, ...]:
    o = n.outcome
    at = o.at or datetime.fromtimestamp(n.at, UTC)
    return (o.file.uri, o.file.version, at, o.status, o.kind, _text(o.reason), n.run_id)


def _text(said: str | None) -> str | None:
    return None if said is None else said.replace("\0", "�")  # PostgreSQL takes no NUL
