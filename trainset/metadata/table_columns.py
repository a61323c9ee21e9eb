"""Plain columns of a table as label records, without a dict a record.

Gives the very records that ``shapes.label_records`` gives. What is not plain (a medium that is
missing, a score that is no number, a negative box) is left to that, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.arrow_json import json_lists, json_objects, json_texts
from trainset.metadata.formats.chunks import plain_number
from trainset.metadata.layout import Layout
from trainset.metadata.meaning import Meaning

_NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"


class PlainRecords(NamedTuple):
    """Records of rows.

    Attributes:
        columns: by the names of ``records.RECORDS``, less ``source`` and ``stream``; of the rows
            that are plain.
        plain: (rows,) which ones are.
        contents: (plain rows,) canonical JSON of each record; a record without an id is named by
            its hash.
    """

    columns: dict[str, pa.Array]
    plain: pa.BooleanArray
    contents: pa.Array


def can_be_columns(meaning: Meaning, columns: pa.Table) -> bool:
    """Whether the layout is one label a row, with boxes, if any, as four numbers in pixels."""
    layout = meaning.layout
    four = layout.box is None or len(layout.box.fields) == 4
    named = set(layout.taken) | set(layout.size or ())
    return (
        layout.objects is None
        and four
        and not meaning.fractions
        and named <= set(columns.column_names)
    )


def plain_records(table: pa.Table, layout: Layout) -> PlainRecords:
    """Records of the rows of a table, in their order."""
    columns = {name: _one(table[name]) for name in table.column_names}
    media = _texts(columns[layout.media])
    numbers = {
        name: _numbers(columns[name])
        for name in (
            *((layout.score,) if layout.score else ()),
            *(layout.box.fields if layout.box else ()),
            *(layout.size or ()),
        )
    }
    plain = _plain_rows(media, numbers, layout)
    if not pc.all(plain).as_py():
        columns = {name: column.filter(plain) for name, column in columns.items()}
        numbers = {name: n.filter(plain) for name, n in numbers.items()}
        media = media.filter(plain)
    return _records(columns, media, numbers, layout, plain)


class _Numbers(NamedTuple):
    """A column as numbers; ``bad`` where there is a value that is none."""

    values: pa.Array
    bad: pa.Array

    def filter(self, mask: pa.Array) -> _Numbers:
        return _Numbers(self.values.filter(mask), self.bad.filter(mask))


def _plain_rows(media: pa.Array, numbers: dict[str, _Numbers], layout: Layout) -> pa.Array:
    bad = [pc.is_null(media)]
    if layout.score:
        bad.append(numbers[layout.score].bad)
    if layout.size:
        width, height = (numbers[name] for name in layout.size)
        both = pc.and_(_is_given(width), _is_given(height))
        bad.append(pc.and_(both, pc.or_(width.bad, height.bad)))
    if layout.box:
        four = [numbers[name] for name in layout.box.fields]
        given = [_is_given(n) for n in four]
        some, every = reduce(pc.or_, given), reduce(pc.and_, given)
        bad += [n.bad for n in four] + [pc.and_(some, pc.invert(every))]
        for size in _sizes([n.values for n in four], layout):
            fits = pc.and_(pc.greater_equal(size, 0.0), pc.is_finite(size))
            bad.append(pc.fill_null(pc.invert(fits), False))
    return pc.invert(reduce(pc.or_, bad))


def _records(
    columns: dict[str, pa.Array],
    media: pa.Array,
    numbers: dict[str, _Numbers],
    layout: Layout,
    plain: pa.Array,
) -> PlainRecords:
    rows = len(media)
    nothing = pa.nulls(rows, pa.string())
    class_ = _texts(columns[layout.class_]) if layout.class_ else nothing
    text = _texts(columns[layout.text]) if layout.text else nothing
    score = numbers[layout.score].values if layout.score else pa.nulls(rows, pa.float64())
    record_id = _texts(columns[layout.record_id]) if layout.record_id else nothing
    boxes, box_json = _boxes(numbers, layout, rows)
    kind = pc.case_when(
        pc.make_struct(pc.is_valid(boxes), pc.is_valid(text), pc.is_valid(class_)),
        "box",
        "caption",
        "class",
        "record",
    )
    rest = {name: json_texts(c) for name, c in columns.items() if name not in layout.taken}
    attributes = json_objects(rest, skip_empty=True) if rest else nothing
    contents = json_objects(
        {
            "attributes": json_texts(attributes),
            "bbox": box_json,
            "class": json_texts(class_),
            "geometry": json_texts(nothing),
            "kind": json_texts(kind),
            "media_ref": json_texts(media),
            "record_id": json_texts(nothing),
            "score": json_texts(score),
            "text": json_texts(text),
        }
    )
    found = {
        "record_id": record_id,
        "media_ref": media,
        "kind": kind,
        "class": class_,
        "bbox": boxes,
        "geometry": nothing,
        "text": text,
        "score": score,
        "attributes": attributes,
    }
    return PlainRecords(found, plain, contents)


def _boxes(numbers: dict[str, _Numbers], layout: Layout, rows: int) -> tuple[pa.Array, pa.Array]:
    """Boxes, and their JSON."""
    kind = pa.list_(pa.float64(), 4)
    if layout.box is None:
        return pa.nulls(rows, kind), pa.repeat("null", rows)
    four = [numbers[name].values for name in layout.box.fields]
    parts = four[:2] + _sizes(four, layout)
    mask = pc.is_null(parts[0])
    flat = pc.list_flatten(_interleaved(parts))
    boxes = pa.FixedSizeListArray.from_arrays(flat, 4, mask=mask)
    texts = json_lists([json_texts(part) for part in parts])
    return boxes.cast(kind), pc.if_else(mask, "null", texts)


def _interleaved(parts: Sequence[pa.Array]) -> pa.Array:
    grid = np.stack([part.fill_null(0.0).to_numpy(zero_copy_only=False) for part in parts], axis=1)
    return pa.FixedSizeListArray.from_arrays(pa.array(grid.ravel()), 4)


def _sizes(four: Sequence[pa.Array], layout: Layout) -> list[pa.Array]:
    """Width and height."""
    if layout.box is not None and layout.box.corners:
        return [pc.subtract(four[2], four[0]), pc.subtract(four[3], four[1])]
    return list(four[2:])


def _is_given(numbers: _Numbers) -> pa.Array:
    return pc.or_(pc.is_valid(numbers.values), numbers.bad)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _texts(column: pa.Array) -> pa.Array:
    """Values as ``str`` writes them; null where there is none, or an empty text."""
    kind = column.type
    if pa.types.is_string(kind):
        return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.string())
    if pa.types.is_boolean(kind):
        return pc.if_else(column, "True", "False")
    if pa.types.is_floating(kind):
        words = [None if v is None else str(plain_number(v)) for v in column.to_pylist()]
        return pa.array(words, pa.string())
    return column.cast(pa.string())


def _numbers(column: pa.Array) -> _Numbers:
    kind = column.type
    if pa.types.is_string(kind):
        given = pc.fill_null(pc.not_equal(column, ""), False)
        good = pc.fill_null(pc.match_substring_regex(column, _NUMBER), False)
        safe = pc.if_else(good, column, pa.scalar(None, pa.string()))
        values = safe.cast(pa.float64())
        finite = pc.fill_null(pc.is_finite(values), False)
        bad = pc.and_(given, pc.invert(finite))
    elif pa.types.is_boolean(kind):
        values, bad = pa.nulls(len(column), pa.float64()), pc.is_valid(column)
    elif pa.types.is_null(kind):
        values, bad = pa.nulls(len(column), pa.float64()), pa.array([False] * len(column))
    else:
        values = pc.cast(column, pa.float64(), safe=False)
        finite = pc.fill_null(pc.is_finite(values), False)
        bad = pc.and_(pc.is_valid(column), pc.invert(finite))
    return _Numbers(pc.if_else(bad, pa.scalar(None, pa.float64()), values), bad)
