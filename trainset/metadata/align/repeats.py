"""Labels and media that say again what an earlier one says.

Hashes tell which rows may be alike; only those few are compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.name_columns import Ints, column, lengths, texts

_Hashes = npt.NDArray[np.uint64]
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplying spreads the bits
_HEX_DIGITS = 64  # of a sha256
_SAID = ["kind", "class", "bbox", "text", "geometry"]


def repeated_labels(rows: pa.Table, at: Ints) -> tuple[Ints, Ints]:
    """Labels of a medium that repeat another in kind, class, box, text and geometry.

    Args:
        rows: of ``annotations``.
        at: (N,) medium of each row, -1: none; those are not looked at.
    Returns:
        The repeating rows, ascending, and for each the first row that said so.
    """
    plain = pc.is_in(rows["kind"], pa.array(["record", "empty", "skipped"])).to_numpy()
    left = np.flatnonzero((at >= 0) & ~plain.astype(bool))
    codes = (_codes(rows[name]) for name in ("kind", "class"))
    hashes = _hashes([at, *codes, *_box_bits(rows["bbox"]).T])
    left = left[_shared(hashes[left])]
    if not len(left):
        return left, left
    same = at[left]
    for values in _columns(rows.select(_SAID).take(pa.array(left))):
        codes_here = _codes(values)
        # Made dense again before each column: products of sizes would overflow.
        same = _codes(pa.array(same)) * (int(codes_here.max()) + 1) + codes_here
    return _repeats(left, same)


def repeated_media(media: pa.Table) -> tuple[Ints, list[str]]:
    """Media whose content an earlier row has, ascending, and the key of the first such row."""
    left = np.flatnonzero(pc.is_valid(media["sha256"]).to_numpy())
    digests = column(media["sha256"].drop_null())
    if (lengths(digests) == _HEX_DIGITS).all():
        words = texts(digests).data.reshape(-1, _HEX_DIGITS).view(np.int64)
        shared = _shared(_hashes(words.T))
        left, digests = left[shared], digests.take(pa.array(shared))
    again, firsts = _repeats(left, _codes(digests))
    keys = media["key"].take(pa.array(firsts)).to_pylist()
    return again, [f"same bytes as {key}" for key in keys]


def _repeats(rows: Ints, said: Ints) -> tuple[Ints, Ints]:
    """Rows that say what an earlier one says, ascending, and the first that says so of each."""
    _, first, back = np.unique(said, return_index=True, return_inverse=True)
    firsts = rows[first][back]
    again = firsts != rows
    return rows[again], firsts[again]


def _columns(rows: pa.Table) -> Iterable[pa.ChunkedArray]:
    boxes = rows["bbox"].combine_chunks()
    sides = (pc.add(pc.list_element(boxes, i), 0.0) for i in range(4))  # -0 is 0
    return [rows["kind"], rows["class"], *sides, rows["text"], rows["geometry"]]


def _box_bits(boxes: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """(N, 4) numbers that are equal where boxes are."""
    array = boxes.combine_chunks()
    sides = array.values.slice(array.offset * 4, len(array) * 4)
    numbers = sides.to_numpy(zero_copy_only=False).reshape(-1, 4) + 0.0  # -0 is 0
    numbers[np.isnan(numbers)] = np.nan  # there are many
    if array.null_count:
        numbers[array.is_null().to_numpy(zero_copy_only=False)] = 0
    bits: npt.NDArray[np.int64] = numbers.view(np.int64)
    return bits


def _hashes(columns: Iterable[Ints]) -> _Hashes:
    """(N,) one number of all columns; rows of the same values have the same."""
    found: Any = np.uint64(0)
    for values in columns:
        mixed = (found ^ values.astype(np.uint64)) * _FACTOR
        found = mixed ^ (mixed >> np.uint64(29))
    return np.asarray(found)


def _shared(hashes: _Hashes) -> Ints:
    """Where hashes stand that come more than once."""
    ordered = np.sort(hashes)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return np.zeros(0, np.int64)
    slots = np.minimum(np.searchsorted(repeated, hashes), len(repeated) - 1)
    return np.flatnonzero(repeated[slots] == hashes)


def _codes(values: pa.Array | pa.ChunkedArray) -> Ints:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    codes: Ints = array.dictionary_encode("encode").indices.to_numpy().astype(np.int64)
    return codes
