"""Boxes and shapes in fractions of their image, made pixels once the image's size is known."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainset.identity import canonical_json
from trainset.metadata.align.name_columns import Ints

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
        geometry: (N,) JSON; such fractions are ``bbox_fraction`` ([x, y, width, height]),
            ``polygons_fraction`` (lists of x, y, …), ``keypoints_fraction`` (x, y, visible, …).
        width, height: (N,) of each row's medium in pixels; null: not known.
    """
    shaped = pc.match_substring_regex(geometry, '"(?:polygons|keypoints)_fraction"')
    if pc.any(shaped).as_py():
        bbox, geometry = _shapes_to_pixels(bbox, geometry, width, height, shaped)
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


def _shapes_to_pixels(
    bbox: pa.ChunkedArray,
    geometry: pa.ChunkedArray,
    width: pa.ChunkedArray,
    height: pa.ChunkedArray,
    shaped: pa.ChunkedArray,
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """As ``to_pixels``, for the rows of ``shaped``, one by one."""
    boxes, texts = bbox.to_pylist(), geometry.to_pylist()
    sides = zip(width.to_pylist(), height.to_pylist(), strict=True)
    for i, (wanted, (w, h)) in enumerate(zip(shaped.to_pylist(), sides, strict=True)):
        if not (wanted and w and h):
            continue
        found = json.loads(texts[i])
        if (box := found.pop("bbox_fraction", None)) is not None and boxes[i] is None:
            boxes[i] = [v * (w, h)[n % 2] for n, v in enumerate(box)]
        if (rings := found.pop("polygons_fraction", None)) is not None:
            found["polygons"] = [[v * (w, h)[n % 2] for n, v in enumerate(r)] for r in rings]
        if (points := found.pop("keypoints_fraction", None)) is not None:
            found["keypoints"] = [v * (w, h, 1)[n % 3] for n, v in enumerate(points)]
        texts[i] = canonical_json(found).decode() if found else None
    return pa.chunked_array([pa.array(boxes, _BOX)]), pa.chunked_array(
        [pa.array(texts, geometry.type)]
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
