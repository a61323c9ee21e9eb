"""Records of a stream gathered into batches that end where a state stands, if they can. Pure."""

from __future__ import annotations

from typing import Any

ROWS, BYTES = 20_000, 8 * 2**20  # a batch is full; parsed, it takes some ten times the bytes
SOME, LATE_S = 5_000, 30.0  # a state ends a batch of so many records, or so many seconds


class Gathering:
    """Records that wait, and how many of them the last state covers."""

    def __init__(self, now: float) -> None:
        self._records: list[dict[str, Any]] = []
        self._bytes = self._covered = 0
        self._since = now

    def add(self, record: dict[str, Any], size: int) -> bool:
        """Take a record of ``size`` bytes; True when the batch is full."""
        self._records.append(record)
        self._bytes += size
        return len(self._records) >= ROWS or self._bytes >= BYTES

    def cover(self, now: float) -> bool:
        """A state came: it covers all records so far. True when they are worth a batch."""
        self._covered = len(self._records)
        return self._covered >= SOME or (bool(self._covered) and now - self._since >= LATE_S)

    def take(self, now: float) -> list[dict[str, Any]]:
        """The records up to the last state; all of them when no state came meanwhile.

        A state that is older than its rows makes the next read give some of them again, so those
        after it wait for the next one as long as there is room.
        """
        count = len(self._records)
        end = self._covered or count
        taken, self._records = self._records[:end], self._records[end:]
        self._bytes = self._bytes * (count - end) // max(count, 1)
        self._covered, self._since = 0, now
        return taken
