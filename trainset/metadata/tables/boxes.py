"""The boxes of a table's rows: four numbers each, column by column."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from trainset.metadata.layout import Layout
from trainset.metadata.tables.cast import cast_values
from trainset.metadata.units import ROUNDING
from trainset.tables.row_hash import json_objects, json_values

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_BOX = pa.list_(pa.float64(), 4)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FOUR = r"^[\s\[(]*" + r"[\s,;]+".join(f"(?P<n{i}>{_NUMBER})" for i in range(4)) + r"[\s\])]*$"


class Boxes(NamedTuple):
    """``x, y, width, height`` of each row; see ``shapes.read_table`` for their units.

    Attributes:
        pixels: null where the row has no box, or only fractions of an image of unknown size.
        fractions: JSON of those, as ``geometry`` holds it.
        present: the row has a box; ``bad``: it says one that is none.
    """

    pixels: pa.Array
    fractions: pa.Array
    present: Mask
    bad: Mask


def read_boxes(rows: pa.Table, layout: Layout) -> Boxes:
    count = len(rows)
    none, nulls = np.zeros(count, bool), pa.nulls(count, pa.string())
    if layout.box is None:
        return Boxes(pa.nulls(count, _BOX), nulls, none, none)
    values, said = _four(rows, layout.box.fields)
    if layout.box.corners:
        values[2:] -= values[:2]
    with np.errstate(invalid="ignore"):
        good = np.isfinite(values).all(axis=0) & (values[2] >= 0) & (values[3] >= 0)
    bad, present = said & ~good, said & good
    if not _are_fractions(values[:, present]):
        return Boxes(_boxes(values, present), nulls, present, bad)
    sized = none
    if layout.size is not None:
        size = np.stack([_floats(rows[name])[0] for name in layout.size])
        with np.errstate(invalid="ignore"):
            sized = present & (size > 0).all(axis=0)
        values[:, sized] *= np.tile(size[:, sized], (2, 1))
    unknown = present & ~sized
    listed = pc.if_else(pa.array(unknown), json_values(_boxes(values, unknown)), None)
    return Boxes(
        _boxes(values, sized), json_objects({"bbox_fraction": listed}, count), present, bad
    )


def _four(rows: pa.Table, names: tuple[str, ...]) -> tuple[Floats, Mask]:
    """(4, N) numbers, NaN where there is none, and whether the row says anything."""
    if len(names) == 4:
        found = [_floats(rows[name]) for name in names]
        return np.stack([f for f, _ in found]), np.logical_or.reduce([s for _, s in found])
    column = rows[names[0]].combine_chunks()
    said = pc.is_valid(column).to_numpy(zero_copy_only=False)
    if types.is_list(column.type):
        four = pc.equal(pc.list_value_length(column), 4)
        full = pc.if_else(four, column, pa.scalar([None] * 4, column.type))
        parts = [pc.list_element(full, i) for i in range(4)]
    else:
        texts = pc.cast(column, pa.string())
        said &= pc.fill_null(pc.not_equal(texts, ""), False).to_numpy(zero_copy_only=False)
        parts = pc.extract_regex(texts, _FOUR).flatten()
        parts = [pc.if_else(pc.equal(part, ""), None, part) for part in parts]
    return np.stack([_floats(pa.chunked_array([part]))[0] for part in parts]), said


def _floats(column: pa.ChunkedArray) -> tuple[Floats, Mask]:
    """Numbers, NaN where there is none, and whether there is a value."""
    if types.is_string(column.type):
        column = pc.if_else(pc.equal(column, ""), None, column)
    found, _ = cast_values(column, pa.float64())
    numbers: Floats = pc.fill_null(found, np.nan).to_numpy()
    return numbers, pc.is_valid(column).to_numpy()


def _are_fractions(values: Floats) -> bool:
    """As ``units.are_fractions``: all small, not all whole numbers."""
    small = (values >= -ROUNDING) & (values <= 1 + ROUNDING)
    return bool(values.size and small.all() and (values != np.floor(values)).any())


def _boxes(values: Floats, valid: Mask) -> pa.Array:
    flat = pa.array(np.where(valid, values, 0).T.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, 4, mask=pa.array(~valid)).cast(_BOX)
