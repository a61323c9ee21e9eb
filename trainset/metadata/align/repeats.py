"""Labels and media that say again what an earlier one says."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.name_columns import Ints


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
    same = at[left]
    # What differs early is not looked at again: few labels are left for the costly columns.
    for column in _columns(rows):
        left, same = _alike(left, same)
        if not len(left):
            return left, left
        same = _combine(same, column.take(pa.array(left)))
    left, same = _alike(left, same)
    _, first, back = np.unique(same, return_index=True, return_inverse=True)
    firsts = left[first][back]
    again = firsts != left
    return left[again], firsts[again]


def repeated_media(media: pa.Table) -> tuple[Ints, list[str]]:
    """Media whose content an earlier row has, ascending, and the key of the first such row."""
    known = np.flatnonzero(pc.is_valid(media["sha256"]).to_numpy())
    left, same = _alike(known, _codes(media["sha256"].take(pa.array(known))))
    if not len(left):
        return left, []
    _, first, back = np.unique(same, return_index=True, return_inverse=True)
    firsts = left[first][back]
    again = firsts != left
    keys = media["key"].take(pa.array(firsts[again])).to_pylist()
    return left[again], [f"same bytes as {key}" for key in keys]


def _columns(rows: pa.Table) -> Iterator[pa.ChunkedArray]:
    yield rows["kind"]
    yield rows["class"]
    boxes = rows["bbox"].combine_chunks()
    for i in range(4):
        side = pc.list_element(boxes, i)
        yield pc.add(side, 0.0)  # -0 is 0
    yield rows["text"]
    yield rows["geometry"]


def _alike(left: Ints, same: Ints) -> tuple[Ints, Ints]:
    """Only those rows whose number another row has too; numbers made dense."""
    codes = _codes(pa.array(same))
    shared = np.bincount(codes)[codes] > 1 if len(codes) else np.zeros(0, bool)
    return left[shared], codes[shared]


def _combine(same: Ints, column: pa.ChunkedArray) -> Ints:
    codes = _codes(column)
    return same * (int(codes.max(initial=0)) + 1) + codes


def _codes(column: pa.Array | pa.ChunkedArray) -> Ints:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    codes: Ints = array.dictionary_encode("encode").indices.to_numpy().astype(np.int64)
    return codes
