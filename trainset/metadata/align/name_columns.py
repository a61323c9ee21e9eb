"""Columns of names and paths, cut up a column at a time: what ``names`` does to one text.

A column is looked at as one run of bytes, so that a hundred thousand paths cost a few scans.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.names import EXTENSIONS

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_SLASH, _DOT, _DASH = b"/.-"
_SPARSE = 8  # positions cost this much more than a mask
_HEX = np.isin(np.arange(256), list(b"0123456789abcdef"))


class Texts(NamedTuple):
    """N texts as they lie in memory: text ``i`` is ``data[offsets[i]:offsets[i + 1]]``."""

    data: npt.NDArray[np.uint8]
    offsets: Ints

    @property
    def starts(self) -> Ints:
        return self.offsets[:-1]

    @property
    def ends(self) -> Ints:
        return self.offsets[1:]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def owners(self, at: Ints) -> Ints:
        """Which text each byte position lies in."""
        return np.searchsorted(self.offsets, at, side="right") - 1


def column(values: object) -> pa.LargeStringArray:
    """Texts as one array of 64-bit offsets; nulls are empty texts."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else pa.array(values)
    return pc.fill_null(array.cast(pa.large_string()), "")


def texts(values: pa.LargeStringArray) -> Texts:
    """The bytes of a column without nulls."""
    _, offsets, data = values.buffers()
    if not len(values):
        return Texts(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    found = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return Texts(raw[found[0] : found[-1]], found - found[0])


def lengths(values: pa.LargeStringArray) -> Ints:
    """Bytes of every text of a column without nulls."""
    return np.diff(texts(values).offsets)


def cut(of: Texts, starts: Ints, ends: Ints) -> pa.LargeStringArray:
    """Slices of texts, by byte positions in ``of.data``: ascending, and none overlaps another."""
    sizes = ends - starts
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    if offsets[-1] * _SPARSE < len(of.data):
        kept = of.data[np.repeat(starts - offsets[:-1], sizes) + np.arange(offsets[-1])]
    else:
        bounds = np.zeros(2 * len(sizes) + 2, np.int64)
        bounds[1:-1:2], bounds[2::2], bounds[-1] = starts, ends, len(of.data)
        pattern = np.zeros(2 * len(sizes) + 1, bool)
        pattern[1::2] = True
        kept = of.data[np.repeat(pattern, np.diff(bounds))]
    return pa.LargeStringArray.from_buffers(len(sizes), pa.py_buffer(offsets), pa.py_buffer(kept))


class Slashes:
    """Where the segments of each path lie; ``at`` are the byte positions of all slashes."""

    def __init__(self, values: pa.LargeStringArray) -> None:
        self.of = texts(values)
        self.at = np.flatnonzero(self.of.data == _SLASH)
        bounds = np.searchsorted(self.at, self.of.offsets)
        self._low, self._high = bounds[:-1], bounds[1:]
        self.segments = self._high - self._low + 1  # of "": 1, as str.split counts

    def last(self, count: int) -> pa.LargeStringArray:
        """The last ``count`` segments; the whole path where it has no more."""
        return cut(self.of, self._start_of_last(count), self.of.ends)

    def without_first(self) -> pa.LargeStringArray:
        """What follows the first slash; an empty text without one."""
        some = self._high > self._low
        starts = self.of.ends.copy()
        starts[some] = self.at[self._low[some]] + 1
        return cut(self.of, starts, self.of.ends)

    def folder(self) -> pa.LargeStringArray:
        """All but the last segment, without the slash after it."""
        ends = np.maximum(self._start_of_last(1) - 1, self.of.starts)
        return cut(self.of, self.of.starts, ends)

    def before(self, ends: Ints) -> Ints:
        """How many slashes each path has before a byte position in it."""
        return np.searchsorted(self.at, ends) - self._low

    def _start_of_last(self, count: int) -> Ints:
        starts = self.of.starts.copy()
        more = self.segments > count
        starts[more] = self.at[self._high[more] - count] + 1
        return starts


def stems(names: pa.LargeStringArray) -> pa.LargeStringArray:
    """``names.stem`` of every file name."""
    of = texts(names)
    dots = np.flatnonzero(of.data == _DOT)
    high = np.searchsorted(dots, of.ends)
    some = high > np.searchsorted(dots, of.starts)
    last = of.ends.copy()
    last[some] = dots[high[some] - 1]
    some &= last > of.starts  # a name that starts with its only dot has no extension
    tails = cut(of, np.where(some, last + 1, of.ends), of.ends).dictionary_encode()
    cuts = [t.lower() in EXTENSIONS or t.isalpha() for t in tails.dictionary.to_pylist()]
    if not cuts:
        return names
    some &= np.array(cuts)[tails.indices.to_numpy()]
    return cut(of, of.starts, np.where(some, last, of.ends))


def without_tool_prefixes(names: pa.LargeStringArray) -> tuple[pa.LargeStringArray, Mask]:
    """``names.without_tool_prefix`` of every file name, and which names it shortens."""
    of = texts(names)
    maybe = np.flatnonzero(of.ends - of.starts > 9)
    maybe = maybe[of.data[of.starts[maybe] + 8] == _DASH]
    maybe = maybe[of.data[of.starts[maybe] + 9] != ord("\n")]
    digits = of.data[of.starts[maybe, None] + np.arange(8)]
    shortened = np.zeros(len(of), bool)
    shortened[maybe[_HEX[digits].all(axis=1)]] = True
    if not shortened.any():
        return names, shortened
    return cut(of, of.starts + np.where(shortened, 9, 0), of.ends), shortened
