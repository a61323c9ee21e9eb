"""Rows at the boundary of two syncs: read twice on purpose, given once. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa

BOUND = 5_000  # hashes in a state; above, boundary rows are given again (each at least once)


def row_hashes(rows: pa.Table) -> list[str]:
    """64-bit hashes of whole rows, hexadecimal, in order.

    Whole rows and not keys: a row that changed again at the same cursor value is a new row. Nulls
    do not count: a column that was added with nothing in it changes no row.
    """
    columns = [_plain(rows.column(i)).to_pylist() for i in range(rows.num_columns)]
    return [_hash(rows.column_names, row) for row in zip(*columns, strict=True)]


def _hash(names: list[str], row: tuple[Any, ...]) -> str:
    filled = [pair for pair in zip(names, row, strict=True) if pair[1] is not None]
    text = repr(filled).encode("utf-8", "replace")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    # Python's dates end at the year 9999, a database's do not.
    if pa.types.is_timestamp(column.type) or pa.types.is_time64(column.type):
        return column.cast(pa.int64())
    if pa.types.is_date32(column.type):
        return column.cast(pa.int32())
    return column


class Boundary:
    """Drops what the last sync gave, and remembers what the next one will meet again."""

    def __init__(self, seen: tuple[str, ...]) -> None:
        self._seen = frozenset(seen)
        self._next: set[str] = set()

    def take(self, rows: pa.Table, again: pa.ChunkedArray | None) -> pa.Table:
        """The rows less those given before; ``again`` (bool): the next sync reads them too."""
        if again is not None and len(self._next) <= BOUND:
            wanted = rows.filter(again).slice(0, BOUND + 1)
            self._next.update(row_hashes(wanted))
        if not self._seen or not rows.num_rows:
            return rows
        new = [h not in self._seen for h in row_hashes(rows)]
        return rows if all(new) else rows.filter(pa.array(new))

    @property
    def seen(self) -> tuple[str, ...]:
        """For the state; () when there are more than ``BOUND``."""
        return tuple(sorted(self._next)) if len(self._next) <= BOUND else ()
