"""Rows in the columns of their contract: cast value by value, what does not fit set aside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from trainset.metadata.base import Rejected
from trainset.metadata.tables.contract import META, SYSTEM, plain_type
from trainset.metadata.tables.hashes import json_text, plain_text

TYPE_MISMATCH, NO_KEY = "type-mismatch", "no-key"


def plain_table(table: pa.Table) -> pa.Table:
    """Columns in plain types (``contract.plain_type``); the same values."""
    columns = [_plain(table[name]) for name in table.column_names]
    return pa.table(columns, names=table.column_names)


def fit(
    table: pa.Table, schema: pa.Schema, key: Sequence[str], *, stream: str
) -> tuple[pa.Table, list[Rejected]]:
    """Rows of a plain table in ``schema`` and a ``_meta`` column.

    A value that cannot be cast becomes null, is told in ``_meta.changes`` and kept as ``Rejected``
    with its original. A row without a key is rejected whole. Nothing else of a batch is touched.

    Returns:
        The rows, and what was rejected.
    """
    columns: dict[str, pa.ChunkedArray] = {}
    bad: dict[int, list[str]] = {}
    for field in schema:
        if field.name not in table.column_names:
            columns[field.name] = pa.chunked_array([pa.nulls(table.num_rows, field.type)])
            continue
        columns[field.name], failed = cast_values(table[field.name], field.type)
        for row in failed:
            bad.setdefault(int(row), []).append(field.name)
    meta = pa.nulls(table.num_rows, SYSTEM.field(META).type)
    rows = pa.table(columns, schema=schema).append_column(SYSTEM.field(META), meta)
    keyless = _keyless(rows, key)
    if not bad and not len(keyless):
        return rows, []
    rejected: list[Rejected] = []
    changes: list[dict[str, object] | None] = [None] * table.num_rows
    lost = set(keyless.tolist())
    for row in sorted(lost):
        fields = {n: table[n][row].as_py() for n in table.column_names}
        original = json_text(fields)
        reason = f"the key ({', '.join(key)}) is empty or does not fit its type"
        # One row, one name: the same row read again is the same item.
        where = f"row without key {original[:40]}"
        rejected.append(
            Rejected(stream=stream, record=where, kind=NO_KEY, reason=reason, original=original)
        )
    for row, names in sorted(bad.items()):
        if row in lost:
            continue
        where = record_name(rows, row, key)
        told = []
        for name in names:
            kind = schema.field(name).type
            reason = f"{name}: this value does not fit {kind}"
            original = json_text(table[name][row].as_py())
            rejected.append(
                Rejected(
                    stream=stream,
                    record=where,
                    kind=TYPE_MISMATCH,
                    reason=reason,
                    original=original,
                )
            )
            told.append({"field": name, "change": "NULLED", "reason": TYPE_MISMATCH})
        changes[row] = {"changes": told}
    position = rows.schema.get_field_index(META)
    rows = rows.set_column(position, SYSTEM.field(META), pa.array(changes, SYSTEM.field(META).type))
    if lost:
        mask = np.ones(rows.num_rows, bool)
        mask[list(lost)] = False
        rows = rows.filter(pa.array(mask))
    return rows, rejected


def record_name(rows: pa.Table, row: int, key: Sequence[str]) -> str:
    """How a quarantined value names its row: by key, else by its values' text."""
    if key:
        return ", ".join(f"{name}={rows[name][row].as_py()}" for name in key)
    return "row " + json_text({n: str(rows[n][row].as_py()) for n in rows.column_names[:4]})


def cast_values(column: pa.ChunkedArray, kind: pa.DataType) -> tuple[pa.ChunkedArray, np.ndarray]:
    """Each value cast without loss, null where that fails, and the rows where it failed."""
    none = np.empty(0, np.int64)
    if column.type == kind:
        return column, none
    if types.is_string(kind):
        return plain_text(column), none
    try:
        return pc.cast(column, kind), none
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        whole = pa.concat_arrays(column.chunks)
        cast = pa.concat_arrays(_pieces(whole, kind))
        failed = pc.and_(pc.is_valid(whole), pc.is_null(cast))
        return pa.chunked_array([cast]), np.flatnonzero(failed.to_numpy(zero_copy_only=False))


def _pieces(values: pa.Array, kind: pa.DataType) -> list[pa.Array]:
    """Cast by halves: only halves that fail are cut further."""
    try:
        return [pc.cast(values, kind)]
    except pa.ArrowNotImplementedError:
        return [pa.nulls(len(values), kind)]
    except pa.ArrowInvalid:
        if len(values) == 1:
            return [pa.nulls(1, kind)]
        middle = len(values) // 2
        return _pieces(values[:middle], kind) + _pieces(values[middle:], kind)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array(
            [chunk.storage for chunk in column.chunks], type=column.type.storage_type
        )
    target = plain_type(column.type)
    return column if column.type == target else pc.cast(column, target)


def _keyless(rows: pa.Table, key: Sequence[str]) -> np.ndarray:
    found = np.zeros(rows.num_rows, bool)
    for name in key:
        found |= pc.is_null(rows[name], nan_is_null=True).to_numpy()
    return np.flatnonzero(found)
