"""Which rows of a delta count, and which stored rows they replace: decided on keys and hashes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainset.metadata.tables.lookup import Lookup

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Index:
    """The rows of a delta in the order they arrived, without their values.

    Attributes:
        key: no nulls; without a key column, the row's number.
        cursor: of one sortable type; None: arrival alone orders rows.
        hashes: uint64 row fingerprints.
        gone: the row does not fit the table's ``where`` (any more).
    """

    key: pa.Array
    cursor: pa.Array | None
    hashes: NDArray[np.uint64]
    gone: Mask

    def __len__(self) -> int:
        return len(self.key)


@dataclass
class Counts:
    """What a sync does to stored rows."""

    added: int = 0
    changed: int = 0
    deleted: int = 0
    vanished: int = 0  # those of ``deleted`` that a key scan did not find


def newest(index: Index) -> Mask:
    """True for the row of each key with the greatest cursor; the later one where they are equal."""
    if len(index) == 0 or _are_unique(index.key):
        return np.ones(len(index), bool)
    columns = {"key": index.key, "arrival": pa.array(np.arange(len(index)))}
    order = [("key", "ascending", "at_start"), ("arrival", "ascending", "at_start")]
    if index.cursor is not None:
        columns["cursor"] = index.cursor
        order.insert(1, ("cursor", "ascending", "at_start"))
    sorted_rows = pc.sort_indices(pa.table(columns), sort_keys=order)
    keys = index.key.take(sorted_rows)
    last = np.ones(len(index), bool)
    last[:-1] = pc.not_equal(keys[:-1], keys[1:]).to_numpy(zero_copy_only=False)
    found = np.zeros(len(index), bool)
    found[sorted_rows.to_numpy()[last]] = True
    return found


def _are_unique(keys: pa.Array) -> bool:
    if pa.types.is_integer(keys.type):
        numbers = np.sort(keys.to_numpy())  # several times faster than counting
        return bool((numbers[1:] > numbers[:-1]).all())
    return bool(pc.count_distinct(keys).as_py() == len(keys))


class Upsert:
    """Compares stored rows with the winners of a delta."""

    def __init__(self, index: Index, live: pa.Array | None = None) -> None:
        self.counts = Counts()
        self._live = None if live is None else Lookup(live)
        self._winners = np.flatnonzero(newest(index))
        self._keys = index.key.take(pa.array(self._winners))
        self._hashes = index.hashes[self._winners]
        self._gone = index.gone[self._winners]
        self._same = np.zeros(len(self._winners), bool)
        self._met = np.zeros(len(self._winners), bool)
        self._size = len(index)

    def dead(self, keys: pa.Array, hashes: NDArray[np.uint64]) -> Mask:
        """Which of these stored rows are replaced or deleted."""
        at = Lookup(self._keys).find(keys)
        met = at >= 0
        at = at[met]
        same = (self._hashes[at] == hashes[met]) & ~self._gone[at] & ~self._met[at]
        self._met[at] = True
        self._same[at[same]] = True
        dead = np.zeros(len(keys), bool)
        dead[np.flatnonzero(met)[~same]] = True
        gone = int(self._gone[at].sum())
        vanished = 0
        if self._live is not None:
            alive = self._live.find(keys) >= 0
            vanished = int((~alive).sum())
            dead |= ~alive
            changed = int((~same & ~self._gone[at] & alive[met]).sum())
            gone = int((self._gone[at] & alive[met]).sum())
        else:
            changed = int((~same & ~self._gone[at]).sum())
        self.counts.changed += changed
        self.counts.vanished += vanished
        self.counts.deleted += gone + vanished
        return dead

    def kept(self) -> Mask:
        """Which rows of the delta are stored, asked after the last ``dead``."""
        wanted = ~self._gone & ~self._same
        if self._live is not None and len(self._keys):
            wanted &= self._live.find(self._keys) >= 0
        self.counts.added = int((wanted & ~self._met).sum())
        found = np.zeros(self._size, bool)
        found[self._winners[wanted]] = True
        return found


def news(index: Index, last: dict[object, int]) -> Mask:
    """For histories: rows that differ from the one before of their key.

    Args:
        last: key -> hash of its newest stored row; is brought up to date.
    """
    found = ~index.gone
    for row, (key, value) in enumerate(
        zip(index.key.to_pylist(), index.hashes.tolist(), strict=True)
    ):
        if found[row]:
            found[row] = last.get(key) != value
            last[key] = value
    return found
