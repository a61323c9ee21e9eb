"""The columns of a stream: a JSON schema's properties as Arrow types. Pure.

What has no one type (objects, lists, unions) is text. Nested keys and cursors are columns of their
own, named with dots. Fields that the schema does not name are kept together in ``_undeclared``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

UNDECLARED = "_undeclared"
UTC = pa.timestamp("us", tz="UTC")
_SCALARS = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}


@dataclass(frozen=True)
class FieldColumn:
    """One column, and where its values stand in a record."""

    name: str
    type: pa.DataType
    path: tuple[str, ...]


def columns_of(
    json_schema: Mapping[str, Any], paths: Sequence[tuple[str, ...]]
) -> list[FieldColumn]:
    """Columns in the schema's order, then nested keys and cursors, then ``_undeclared``.

    Args:
        json_schema: of the stream's records.
        paths: fields that must be columns.
    """
    properties = _properties(json_schema)
    found = [FieldColumn(name, arrow_type(one), (name,)) for name, one in properties.items()]
    names = set(properties)
    for path in paths:
        name = ".".join(path)
        if name not in names:
            found.append(FieldColumn(name, _type_at(json_schema, path), path))
            names.add(name)
    if json_schema.get("additionalProperties") is not False and UNDECLARED not in names:
        found.append(FieldColumn(UNDECLARED, pa.string(), ()))
    return found


def schema_of(columns: Sequence[FieldColumn]) -> pa.Schema:
    return pa.schema([(c.name, c.type) for c in columns])


def arrow_type(schema: Any) -> pa.DataType:
    """The type of one property."""
    one = _only_branch(schema)
    kinds = one.get("type")
    kinds = {kinds} if isinstance(kinds, str) else set(kinds or ())
    kinds.discard("null")
    if kinds == {"integer", "number"}:
        kinds = {"number"}
    if len(kinds) != 1:
        return pa.string()
    (kind,) = kinds
    special = one.get("airbyte_type")
    if special in ("big_integer", "big_number"):
        return pa.string()
    if kind == "number" and special == "integer":
        return pa.int64()
    if kind == "string":
        return _text_type(one.get("format"), special)
    return _SCALARS.get(kind, pa.string())


def _text_type(format_: Any, special: Any) -> pa.DataType:
    if format_ == "date":
        return pa.date32()
    if format_ == "date-time":
        return pa.timestamp("us") if special == "timestamp_without_timezone" else UTC
    return pa.string()


def _only_branch(schema: Any) -> Mapping[str, Any]:
    """The schema less a union with null; {} where it may be several things."""
    if not isinstance(schema, Mapping):
        return {}
    for word in ("oneOf", "anyOf"):
        if word in schema:
            branches = [b for b in schema[word] or () if _is_something(b)]
            return _only_branch(branches[0]) if len(branches) == 1 else {}
    return schema


def _is_something(branch: Any) -> bool:
    return not (isinstance(branch, Mapping) and branch.get("type") in ("null", ["null"]))


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _type_at(schema: Mapping[str, Any], path: Sequence[str]) -> pa.DataType:
    """The type of a nested field; text where the schema does not reach."""
    one: Any = schema
    for name in path:
        one = _properties(_only_branch(one)).get(name)
    return arrow_type(one)
