"""Which file brought the bytes first that another one has too: the parents in provenance."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from trainset.identity import row_id
from trainset.tables.base import Table
from trainset.transfer.base import Outcome

LINKED = 100_000  # duplicates of one run that get a parent: about 30 MB


def first_files(media: Table | None, outcomes: Iterable[Outcome]) -> dict[str, str]:
    """The row id of the file that brought a duplicate's bytes first, by the duplicate's key.

    That is the oldest row with these bytes, other than this run's duplicates. Without such a row
    (an earlier run sent the bytes and was refused) a duplicate has no parent.

    Args:
        media: the table with the rows of this run in it; scanned once if there are duplicates.
    """
    wanted: dict[str, list[str]] = {}
    left = LINKED
    for outcome in outcomes:
        if outcome.status == "duplicate" and outcome.sha256 is not None:
            wanted.setdefault(outcome.sha256, []).append(outcome.file.key)
            if (left := left - 1) == 0:
                break
    if media is None or not wanted:
        return {}
    own = {row_id(key) for keys in wanted.values() for key in keys}
    sha256s = pa.array(list(wanted), pa.string())
    oldest: dict[str, tuple[datetime, str]] = {}
    for batch in media.scan(["row_id", "sha256", "ingested_at"]):
        found = batch.filter(pc.is_in(batch["sha256"], sha256s))
        for row in found.to_pylist():
            if row["row_id"] in own or row["ingested_at"] is None:
                continue
            candidate = (row["ingested_at"], row["row_id"])
            oldest[row["sha256"]] = min(oldest.get(row["sha256"], candidate), candidate)
    return {
        key: oldest[sha256][1]
        for sha256, keys in wanted.items()
        if sha256 in oldest
        for key in keys
    }
