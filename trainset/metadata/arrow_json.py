"""Columns of values as canonical JSON texts, equal to what ``identity.canonical_json`` writes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.formats.chunks import plain_number

_CONTROL = r"[\x00-\x1f]"
_quoted = json.encoder.encode_basestring  # as canonical_json quotes a text


def json_texts(column: pa.Array) -> pa.Array:
    """Each value's JSON, no nulls.

    Args:
        column: strings, whole numbers, doubles, truth values or nulls. NaN and infinities are
            quoted words, as ``plain_number`` has them.
    """
    kind = column.type
    if column.null_count == len(column):
        return pa.repeat("null", len(column))
    if pa.types.is_string(kind):
        found = _quote(column)
    elif pa.types.is_floating(kind):
        found = pa.array([_number(v) for v in column.to_pylist()], pa.string())
    elif pa.types.is_boolean(kind):
        found = pc.if_else(column, "true", "false")
    else:
        found = column.cast(pa.string())
    return pc.fill_null(found, "null")


def json_objects(fields: Mapping[str, pa.Array], *, skip_empty: bool = False) -> pa.Array:
    """An object a row, of columns of JSON texts by their names.

    Args:
        skip_empty: leave a field out where its JSON is an empty text; null where all are.
    """
    parts: list[pa.Array | str] = []
    for name in sorted(fields):
        start = f"{_quoted(name)}:"
        if skip_empty:
            piece = pc.binary_join_element_wise(start, fields[name], ",", "")
            parts.append(pc.if_else(pc.equal(fields[name], '""'), "", piece))
        else:
            parts += [start, fields[name], ","]
    if not parts:
        return pa.array([], pa.string())
    body = pc.utf8_rtrim(pc.binary_join_element_wise(*parts, ""), ",")
    whole = pc.binary_join_element_wise("{", body, "}", "")
    return pc.if_else(pc.equal(body, ""), pa.scalar(None, pa.string()), whole)


def json_lists(columns: Sequence[pa.Array]) -> pa.Array:
    """A list a row, of columns of JSON texts of which none ends in a comma."""
    return pc.binary_join_element_wise("[", pc.binary_join_element_wise(*columns, ","), "]", "")


def _quote(column: pa.Array) -> pa.Array:
    found = pc.replace_substring(column, "\\", "\\\\")
    found = pc.replace_substring(found, '"', '\\"')
    found = pc.binary_join_element_wise('"', found, '"', "")
    odd = pc.fill_null(pc.match_substring_regex(column, _CONTROL), False)
    if pc.any(odd).as_py():
        texts = [_quoted(text) for text in column.filter(odd).to_pylist()]
        found = pc.replace_with_mask(found, odd, pa.array(texts, pa.string()))
    return found


def _number(value: float | None) -> str | None:
    if value is None:
        return None
    return repr(value) if math.isfinite(value) else f'"{plain_number(value)}"'
