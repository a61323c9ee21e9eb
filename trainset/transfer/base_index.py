"""``BaseIndex``: what the media table says of each source file, in 26 bytes a row.

A plan asks one question a file: is this size and version what the base commit holds? For that no
key is kept: a row is its 128-bit id, a 64-bit fingerprint of (size, version), and two flags. Keys
of rows that were not asked for are read from the table again, as a stream.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainset.errors import InputError
from trainset.identity import row_id
from trainset.tables.base import Table
from trainset.transfer.base_rows import MISSING, Found

_VERSIONS = ("row_id", "size", "source_version", "source_state")
_KEYS = ("row_id", "key")

# Reads all rows of the media table, some columns of it, in batches; twice gives the same rows.
Scan = Callable[[Sequence[str]], Iterable[pa.RecordBatch]]

_Words = NDArray[np.uint64]


class BaseIndex:
    """The rows of one commit, sorted by id; remembers which were asked for.

    Two versions of a file share a fingerprint once in 2**64: the next change would be seen again.
    """

    def __init__(self, scan: Scan) -> None:
        """Read all rows once; ``scan`` is called again by ``unseen``.

        Raises:
            InputError: a row's id is no id.
        """
        self._scan = scan
        # Arrays that grow in place: lists of small ones would leave holes, and need a copy.
        high, low, prints = array("Q"), array("Q"), array("Q")
        missing = bytearray()
        for batch in scan(_VERSIONS):
            ids = _ids(batch["row_id"].to_pylist())
            high.frombytes(ids[:, 0].tobytes())
            low.frombytes(ids[:, 1].tobytes())
            prints.frombytes(_fingerprints(batch).tobytes())
            missing += bytes(state == MISSING for state in batch["source_state"].to_pylist())
        order = np.lexsort((_words(low), _words(high)))
        self._high = _words(high)[order]
        del high
        self._low = _words(low)[order]
        del low
        self._print = _words(prints)[order]
        del prints
        self._missing = np.frombuffer(missing, np.bool_)[order]
        self._seen = np.zeros(len(order), bool)

    @classmethod
    def of_table(cls, media: Table) -> BaseIndex:
        """An index of the media table; ``media`` must stay at its version."""
        return cls(lambda columns: media.scan(columns, frugal=True))

    def __len__(self) -> int:
        return len(self._high)

    @property
    def nbytes(self) -> int:
        """Bytes that the index holds."""
        arrays = (self._high, self._low, self._print, self._missing, self._seen)
        return sum(array.nbytes for array in arrays)

    def find(self, files: Sequence[tuple[str, int, str]]) -> Found:
        """Look up (key, size, version) of some files, and remember that they were listed."""
        at, known = self._places(_ids([row_id(key) for key, _, _ in files]))
        self._seen[at[known]] = True
        prints = np.array([_fingerprint(size, version) for _, size, version in files], np.uint64)
        same, missing = known.copy(), known.copy()
        same[known] = self._print[at[known]] == prints[known]
        missing[known] = self._missing[at[known]]
        return Found(known.tolist(), same.tolist(), missing.tolist())

    def unseen(self) -> Iterator[tuple[str, bool]]:
        """(key, whether it says missing) of rows that ``find`` was not asked for; reads again."""
        if self._seen.all():
            return
        for batch in self._scan(_KEYS):
            at, known = self._places(_ids(batch["row_id"].to_pylist()))
            fresh = known.copy()
            fresh[known] = ~self._seen[at[known]]
            if not fresh.any():
                continue
            keys = batch["key"].filter(pa.array(fresh)).to_pylist()
            yield from zip(keys, self._missing[at[fresh]].tolist(), strict=True)

    def _places(self, ids: _Words) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Where rows with these ids are, and whether they are there at all."""
        high, low = ids[:, 0], ids[:, 1]
        at = np.searchsorted(self._high, high)
        last = len(self._high) - 1
        if last < 0:
            return at, np.zeros(len(ids), bool)
        while True:
            place = np.minimum(at, last)
            same_high = (at <= last) & (self._high[place] == high)
            known = same_high & (self._low[place] == low)
            # Two ids that agree in 64 bits stand side by side: step on to the other one.
            step = same_high & ~known
            if not step.any():
                return place, known
            at = at + step


def _words(numbers: array[int]) -> _Words:
    return np.frombuffer(numbers, np.uint64)


def _ids(row_ids: Sequence[str]) -> _Words:
    """(N, 2) words of N ids of 32 hex digits."""
    text = "".join(row_ids)
    try:
        words = np.frombuffer(bytes.fromhex(text), ">u8").astype(np.uint64)
    except ValueError:
        words = np.empty(0, np.uint64)
    if len(words) != 2 * len(row_ids) or any(len(one) != 32 for one in row_ids):
        raise InputError(
            "the media table has a row_id that is not 32 hex digits; check it with: trainset verify"
        )
    return words.reshape(-1, 2)


def _fingerprints(batch: pa.RecordBatch) -> _Words:
    sizes, versions = batch["size"].to_pylist(), batch["source_version"].to_pylist()
    pairs = zip(sizes, versions, strict=True)
    return np.fromiter((_fingerprint(*pair) for pair in pairs), np.uint64, len(sizes))


def _fingerprint(size: int | None, version: str | None) -> int:
    """64 bits of both; a null differs from every value."""
    text = f"{size}\0" if version is None else f"{size}\0={version}"
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big")
