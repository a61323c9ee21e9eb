"""Records as Arrow, column by column; a value that does not fit makes its column text. Pure.

A contract then casts value by value and puts aside what fails (as with SQL: ``sql.conform``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from trainset.metadata.airbyte.schema import UNDECLARED, FieldColumn

_EXACT = 2**53  # floats hold every integer up to here
_HAS_ZONE = r"[0-9](Z|z|[+-][0-9]{2}(:?[0-9]{2})?)$"


def to_rows(records: Sequence[Mapping[str, Any]], columns: Sequence[FieldColumn]) -> pa.Table:
    """The records in the columns' order and types.

    Times without a zone are taken for UTC, and digits below a microsecond are cut. Objects and
    lists become JSON with sorted names, so that the same value is the same text.
    """
    known = {c.path[0] for c in columns if len(c.path) == 1}
    arrays = [
        _undeclared(records, known)
        if not c.path and c.name == UNDECLARED
        else _column([_at(r, c.path) for r in records], c.type)
        for c in columns
    ]
    return pa.table(arrays, names=[c.name for c in columns])


def as_text(value: Any) -> str | None:
    """Strings as they are, anything else as JSON; half a character as an escape."""
    if value is None:
        return None
    if not isinstance(value, str):
        value = _json(value)
    return str(value).encode("utf-8", "backslashreplace").decode()


def _at(record: Mapping[str, Any], path: Sequence[str]) -> Any:
    found: Any = record
    for name in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _column(values: list[Any], wanted: pa.DataType) -> pa.Array:
    kinds = set(map(type, values)) - {type(None)}
    made = _MAKERS[_family(wanted)](values, kinds, wanted)
    return _texts(values) if made is None else made


def _family(wanted: pa.DataType) -> str:
    if types.is_temporal(wanted):
        return "time"
    return {pa.int64(): "integer", pa.float64(): "number", pa.bool_(): "boolean"}.get(
        wanted, "text"
    )


def _integers(values: list[Any], kinds: set[type], wanted: pa.DataType) -> pa.Array | None:
    if float in kinds:  # 3.0 is an integer to JSON
        whole = [v for v in values if isinstance(v, float)]
        if not all(v.is_integer() and abs(v) <= _EXACT for v in whole):
            return None
    return None if kinds - {int, float} else _made(values, wanted)


def _numbers(values: list[Any], kinds: set[type], wanted: pa.DataType) -> pa.Array | None:
    return None if kinds - {int, float} else _made(values, wanted)


def _booleans(values: list[Any], kinds: set[type], wanted: pa.DataType) -> pa.Array | None:
    return None if kinds - {bool} else _made(values, wanted)


def _strings(values: list[Any], kinds: set[type], wanted: pa.DataType) -> pa.Array | None:
    return None if kinds - {str} else _made(values, wanted)


def _times(values: list[Any], kinds: set[type], wanted: pa.DataType) -> pa.Array | None:
    texts = _strings(values, kinds, pa.string())
    if texts is None:
        return None
    if types.is_timestamp(wanted):
        texts = pc.replace_substring_regex(texts, r"([.,][0-9]{6})[0-9]+", r"\1")
    if types.is_timestamp(wanted) and wanted.tz is not None:
        has_time = pc.match_substring(texts, ":")
        texts = pc.if_else(has_time, texts, pc.binary_join_element_wise(texts, "T00:00:00", ""))
        zoned = pc.match_substring_regex(texts, _HAS_ZONE)
        texts = pc.if_else(zoned, texts, pc.binary_join_element_wise(texts, "Z", ""))
    try:
        return pc.cast(texts, wanted)
    except pa.ArrowInvalid:
        return None


def _made(values: list[Any], wanted: pa.DataType) -> pa.Array | None:
    try:
        return pa.array(values, wanted)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return None


_MAKERS: Mapping[str, Callable[[list[Any], set[type], pa.DataType], pa.Array | None]] = {
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "text": _strings,
    "time": _times,
}


def _texts(values: Sequence[Any]) -> pa.Array:
    return pa.array([as_text(v) for v in values], pa.string())


def _undeclared(records: Sequence[Mapping[str, Any]], known: set[str]) -> pa.Array:
    """What records hold beside the columns, as one JSON object each; null where that is nothing."""
    return _texts(
        [
            None if known.issuperset(r) else {n: v for n, v in r.items() if n not in known}
            for r in records
        ]
    )


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except (TypeError, ValueError):  # integers over 64 bits, half characters
        import json

        return json.dumps(value, sort_keys=True, separators=(",", ":"))
