"""Claims in a PostgreSQL ledger: who may send which file now, by the server's clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from trainset.transfer.ledger.base import Claim, LedgerRow
from trainset.transfer.ledger.buffered import ledger_row
from trainset.transfer.ledger.owner import owner_is_gone
from trainset.transfer.ledger.postgres_session import Connection

ROW = "state, sha256, uri, version_id, facts, attempts, kind, reason, dead_key IS NOT NULL"

# Sorted, so that two owners who want the same files wait for each other, and never in a circle.
_CLAIM = """
INSERT INTO trainset_ledger.claims AS c (home, id, owner, lease_until, interrupted)
SELECT %(home)s, id, %(owner)s, clock_timestamp() + %(lease)s, false
FROM unnest(%(ids)s::bytea[]) AS id ORDER BY id
ON CONFLICT (home, id) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until,
    interrupted = c.interrupted OR c.owner <> excluded.owner
WHERE c.owner = excluded.owner OR c.lease_until <= clock_timestamp() OR c.owner = ANY(%(gone)s)
RETURNING id, interrupted
"""


def claim_ids(
    db: Connection, home: int, ids: Sequence[bytes], owner: str, lease_s: float
) -> list[Claim]:
    """In the open transaction of ``db``; in the order of ``ids``. See ``base.Ledger.claim``."""
    rows = _rows_of(db, home, ids)
    wanted = [i for i in dict.fromkeys(ids) if not _settled(rows.get(i))]
    taken = _take(db, home, wanted, owner, lease_s)
    # Read once more what is ours now: another owner may just have brought it.
    rows |= _rows_of(db, home, list(taken))
    if ended := [i for i in taken if _settled(rows.get(i))]:
        db.execute(
            "DELETE FROM trainset_ledger.claims WHERE home = %s AND id = ANY(%s)", [home, ended]
        )
    claims = []
    for i in ids:
        row, settled = rows.get(i), _settled(rows.get(i))
        claims.append(Claim(settled or i in taken, not settled and taken.get(i, False), row))
    return claims


def _take(
    db: Connection, home: int, ids: list[bytes], owner: str, lease_s: float
) -> dict[bytes, bool]:
    """The ids that are ours now, each with whether it was interrupted."""
    values: dict[str, Any] = {"home": home, "owner": owner, "ids": ids, "gone": []}
    values["lease"] = timedelta(seconds=lease_s)
    taken: dict[bytes, bool] = dict(db.execute(_CLAIM, values).fetchall()) if ids else {}
    if others := [i for i in ids if i not in taken]:
        holders = db.execute(
            "SELECT DISTINCT owner FROM trainset_ledger.claims WHERE home = %s AND id = ANY(%s)",
            [home, others],
        )
        if gone := [holder for (holder,) in holders if owner_is_gone(holder)]:
            again = values | {"ids": others, "gone": gone}
            taken |= dict(db.execute(_CLAIM, again).fetchall())
    return taken


def _rows_of(db: Connection, home: int, ids: Sequence[bytes]) -> dict[bytes, LedgerRow]:
    found = db.execute(
        f"SELECT id, {ROW} FROM trainset_ledger.files WHERE home = %s AND id = ANY(%s)",
        [home, list(ids)],
    )
    return {i: ledger_row(row) for i, *row in found}


def _settled(row: LedgerRow | None) -> bool:
    return row is not None and (row.arrived or row.dead)
