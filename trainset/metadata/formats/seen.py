"""``Seen``: which 64-bit numbers came before, in 8 bytes each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.uint64]


class Seen:
    """A set that grows by arrays: sorted runs, each at least twice as long as the next."""

    def __init__(self) -> None:
        self._runs: list[Numbers] = []

    def add(self, numbers: Numbers) -> NDArray[np.bool_]:
        """Add numbers; True for those that were there, or stand earlier in the array itself."""
        met = np.zeros(len(numbers), bool)
        for run in self._runs:
            at = np.searchsorted(run, numbers)
            met |= run[np.minimum(at, len(run) - 1)] == numbers
        unique, first = np.unique(numbers, return_index=True)
        again = np.ones(len(numbers), bool)
        again[first] = False
        if len(unique):
            self._runs.append(unique)
        while len(self._runs) > 1 and len(self._runs[-1]) * 2 > len(self._runs[-2]):
            merged = np.concatenate([self._runs.pop(), self._runs.pop()])
            merged.sort(kind="stable")
            self._runs.append(merged)
        return met | again


def numbers_of(texts: Iterable[bytes]) -> Numbers:
    """A 64-bit hash of each text."""
    digests = b"".join([hashlib.blake2b(text, digest_size=8).digest() for text in texts])
    return np.frombuffer(digests, ">u8").astype(np.uint64)
