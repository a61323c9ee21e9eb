"""Rows of a table as label records: what its columns mean is found as in label files.

Columns are taken as a whole, so that a million rows cost seconds. A table whose cells hold several
labels each (lists of objects or of names) is read row by row, by the code that reads label files.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.layout import Layout, find_layout
from trainset.metadata.records import RECORDS, to_table
from trainset.metadata.shapes import label_rows
from trainset.metadata.store import CommitFiles, Manifest
from trainset.metadata.tables.boxes import read_boxes
from trainset.metadata.tables.cast import cast_values, record_name
from trainset.metadata.tables.contract import ROW_HASH
from trainset.metadata.tables.hashes import json_text, plain_text
from trainset.metadata.tables.rows import load_rows
from trainset.tables.row_hash import json_objects, json_values

_SAMPLE = 1000  # rows that tell what the columns mean
NO_MEDIA = "no-media-column"


class Labels(NamedTuple):
    """Records in the schema ``RECORDS``, and rows that are no label, each with its reason."""

    records: pa.Table
    rejected: list[Rejected]


def labels_of(files: CommitFiles, source: str, stream: str, manifest: Manifest) -> Labels:
    """The labels that the rows of one table are.

    A table of which no column names a medium has none, which is told as one item ``NO_MEDIA``.
    """
    facts = manifest.table
    assert facts is not None
    rows = load_rows(files, source, stream).combine_chunks()
    if not len(rows):
        return Labels(RECORDS.empty_table(), [])
    plain = rows.select(facts.columns.names)
    try:
        layout = _layout(plain, facts.media_column, f"{source}/{stream}")
    except InputError as error:
        item = Rejected(stream=stream, record="", kind=NO_MEDIA, reason=str(error), original="")
        return Labels(RECORDS.empty_table(), [item])
    key = facts.key
    if len(key) == 1 and not facts.mode.endswith("append"):
        layout = replace(layout, record_id=key[0])
    if not _is_flat(layout, plain.schema):
        return _row_by_row(plain, layout, key, source, stream)
    return _by_column(plain, rows[ROW_HASH], layout, key, source, stream)


def _layout(rows: pa.Table, media: str | None, place: str) -> Layout:
    sample = rows
    if media in rows.column_names:  # the first rows may be of no medium
        sample = rows.filter(pc.is_valid(rows[media]))
        sample = sample if len(sample) else rows
    fields = [_plain_row(row) for row in sample.slice(0, _SAMPLE).to_pylist()]
    return find_layout(fields, media=media, place=place)


def _is_flat(layout: Layout, schema: pa.Schema) -> bool:
    """Whether every cell that means something holds one value."""
    cells = [layout.media, layout.class_, layout.text, layout.score, *(layout.size or ())]
    boxes = layout.box.fields if layout.box else ()
    named = [name for name in (*cells, *boxes) if name is not None]
    if layout.objects or any(name not in schema.names for name in named):
        return False
    kinds = {name: schema.field(name).type for name in named}
    of_box = kinds.pop(boxes[0]) if len(boxes) == 1 else pa.string()
    listed = types.is_list(of_box) and not types.is_nested(of_box.value_type)
    return (listed or not types.is_nested(of_box)) and not any(
        types.is_nested(kind) for kind in kinds.values()
    )


def _by_column(
    rows: pa.Table,
    hashes: pa.ChunkedArray,
    layout: Layout,
    key: tuple[str, ...],
    source: str,
    stream: str,
) -> Labels:
    count = len(rows)
    media = _words(rows, layout.media)
    class_, text = _words(rows, layout.class_), _words(rows, layout.text)
    scores, odd_score = _numbers(rows, layout.score)
    boxes = read_boxes(rows, layout)
    reasons = {
        f"{layout.media} is empty, so the row is of no medium": _mask(pc.is_null(media)),
        f"{layout.score} is no number": odd_score,
        "the box is not four finite numbers, or has a negative size": boxes.bad,
    }
    bad = np.logical_or.reduce(list(reasons.values()))
    kind = pc.if_else(
        pa.array(boxes.present),
        "box",
        pc.if_else(
            pc.is_valid(text), "caption", pc.if_else(pc.is_valid(class_), "class", "record")
        ),
    )
    columns = {
        "source": pa.repeat(pa.scalar(source), count),
        "stream": pa.repeat(pa.scalar(stream), count),
        "record_id": _record_ids(rows, hashes, layout, key),
        "media_ref": media,
        "kind": kind,
        "class": class_,
        "bbox": boxes.pixels,
        "geometry": boxes.fractions,
        "text": text,
        "score": scores,
        "attributes": _attributes(rows, layout),
    }
    records = pa.table([columns[name] for name in RECORDS.names], schema=RECORDS)
    rejected = []
    for reason, mask in reasons.items():
        for row in map(int, np.flatnonzero(mask)):
            where, original = record_name(rows, row, key), _original(rows, row)
            rejected.append(
                Rejected(
                    stream=stream, record=where, kind="no-label", reason=reason, original=original
                )
            )
    return Labels(records.filter(pa.array(~bad)), rejected)


def _record_ids(
    rows: pa.Table, hashes: pa.ChunkedArray, layout: Layout, key: tuple[str, ...]
) -> pa.Array:
    """Ids by key, else by content; one met again gets ``~2``, ``~3`` …"""
    if key == (layout.record_id,):
        return plain_text(rows[key[0]]).combine_chunks()
    if key:
        texts = [json_values(plain_text(rows[name])) for name in key]
        ids = pc.cast(
            pc.binary_join_element_wise(*texts, pa.scalar(",", pa.large_string())), pa.string()
        )
    else:
        ids = pa.array([f"{number:016x}" for number in hashes.to_pylist()], pa.string())
    order = pc.sort_indices(ids).to_numpy()
    ordered = ids.take(pa.array(order))
    first = np.ones(len(ids), bool)
    first[1:] = pc.not_equal(ordered[1:], ordered[:-1]).to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(first)
    times = np.empty(len(ids), np.int64)
    times[order] = np.arange(len(ids)) - starts[np.cumsum(first) - 1] + 1
    again = pc.binary_join_element_wise(ids, pa.array(times).cast(pa.string()), "~")
    return pc.if_else(pa.array(times > 1), again, ids)


def _attributes(rows: pa.Table, layout: Layout) -> pa.Array:
    """What has no column of its own, as a JSON object; null when that is nothing."""
    left = {}
    for name in rows.column_names:
        if name in layout.taken:
            continue
        column = rows[name]
        if types.is_floating(column.type):
            column = pc.if_else(pc.is_finite(column), column.cast(pa.float64()), None)
        elif types.is_nested(column.type):
            texts = [None if v is None else json_text(_plain(v)) for v in column.to_pylist()]
            left[name] = pa.array(texts, pa.large_string())
            continue
        elif not types.is_integer(column.type) and not types.is_boolean(column.type):
            column = plain_text(column)
            column = pc.if_else(pc.equal(column, ""), None, column)
        valid = pc.is_valid(column).combine_chunks()
        left[name] = pc.if_else(valid, json_values(column), None)
    return json_objects(left, len(rows))


def _words(rows: pa.Table, name: str | None) -> pa.Array:
    """A column as texts; empty ones are null."""
    if name is None:
        return pa.nulls(len(rows), pa.string())
    texts = plain_text(rows[name]).combine_chunks()
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _numbers(rows: pa.Table, name: str | None) -> tuple[pa.Array, np.ndarray]:
    """A column as finite numbers, and the rows whose value is none."""
    if name is None:
        return pa.nulls(len(rows), pa.float64()), np.zeros(len(rows), bool)
    column = rows[name]
    if types.is_string(column.type):
        column = pc.if_else(pc.equal(column, ""), None, column)
    found, failed = cast_values(column, pa.float64())
    odd = _mask(pc.invert(pc.fill_null(pc.is_finite(found), True)))
    odd[failed] = True
    return pc.if_else(pa.array(odd), None, found.combine_chunks()), odd


def _row_by_row(
    rows: pa.Table, layout: Layout, key: tuple[str, ...], source: str, stream: str
) -> Labels:
    plain = [(record_name(rows, i, key), _plain_row(row)) for i, row in enumerate(rows.to_pylist())]
    found = list(label_rows(plain, layout, stream=stream))
    rejected = [item for item in found if isinstance(item, Rejected)]
    records = [item for item in found if not isinstance(item, Rejected)]
    return Labels(to_table(records, source=source, stream=stream), rejected)


def _original(rows: pa.Table, row: int) -> str:
    return json_text(_plain_row({name: rows[name][row].as_py() for name in rows.column_names}))


def _mask(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    mask: np.ndarray = array.to_numpy(zero_copy_only=False).copy()
    return mask


def _plain_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    """A cell as JSON has it: times in ISO 8601, bytes in hex, decimals as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
