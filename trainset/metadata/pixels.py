"""Boxes given as fractions of their image, made pixels once the image's size is known."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.name_columns import Ints

_AHEAD, _AFTER = '{"bbox_fraction":[', "]}"  # as ``canonical_json`` writes it
_BOX = pa.list_(pa.float64(), 4)


def to_pixels(
    bbox: pa.ChunkedArray,
    geometry: pa.ChunkedArray,
    width: pa.ChunkedArray,
    height: pa.ChunkedArray,
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """``bbox`` and ``geometry``, in pixels where a row has a fraction and a size.

    Args:
        bbox: (N,) lists of x, y, width, height in pixels, or null.
        geometry: (N,) JSON; ``{"bbox_fraction": [x, y, width, height]}`` is such a fraction.
        width, height: (N,) of each row's medium in pixels; null: not known.
    """
    asked = pc.and_(pc.is_null(bbox), pc.match_substring(geometry, '"bbox_fraction"'))
    sized = pc.and_(pc.greater(width, 0), pc.greater(height, 0))
    wanted = pc.fill_null(pc.and_(asked, sized), False).combine_chunks()
    at = np.flatnonzero(wanted.to_numpy(zero_copy_only=False))
    if not len(at):
        return bbox, geometry
    rows = pa.array(at)
    sizes = np.stack([_numbers(side.take(rows)) for side in (width, height)] * 2, axis=1)
    boxes = _fractions(geometry.take(rows)) * sizes
    known = bbox.combine_chunks().cast(_BOX)
    made = pa.FixedSizeListArray.from_arrays(pa.array(boxes.reshape(-1)), 4)
    return _replaced(known, at, made), pa.chunked_array(
        [pc.if_else(wanted, pa.scalar(None, geometry.type), geometry.combine_chunks())]
    )


def _fractions(geometry: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """(N, 4) numbers of the JSON texts."""
    texts = geometry.combine_chunks()
    inner = pc.utf8_slice_codeunits(texts, len(_AHEAD), -len(_AFTER))
    plain = pc.and_(pc.starts_with(texts, _AHEAD), pc.ends_with(texts, _AFTER))
    plain = pc.and_(plain, pc.equal(pc.count_substring(inner, ","), 3))
    plain = pc.and_(plain, pc.invert(pc.match_substring_regex(inner, "[^-+0-9.,eE]")))
    found = np.empty((len(texts), 4))
    easy = plain.to_numpy(zero_copy_only=False)
    parts = pc.split_pattern(inner.filter(plain), ",").flatten()
    found[easy] = pc.cast(parts, pa.float64()).to_numpy().reshape(-1, 4)
    for i in np.flatnonzero(~easy):
        found[i] = json.loads(texts[int(i)].as_py())["bbox_fraction"]
    return found


def _replaced(known: pa.Array, at: Ints, made: pa.Array) -> pa.ChunkedArray:
    place = np.arange(len(known))
    place[at] = len(known) + np.arange(len(made))
    return pa.chunked_array([pa.concat_arrays([known, made.cast(_BOX)]).take(pa.array(place))])


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return found
