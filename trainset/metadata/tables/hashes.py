"""Fingerprints of whole Arrow tables, and keys of several columns as one array."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.identity import canonical_json


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as bytes of their text; null stays null. What Arrow cannot cast becomes JSON."""
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pc.cast(column, pa.binary())
    try:
        return pc.cast(pc.cast(column, pa.string()), pa.binary())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        texts = [None if v is None else json_text(v).encode() for v in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.binary())])


def json_text(value: object) -> str:
    """A value as JSON; what JSON has not is written as its text."""
    try:
        return canonical_json(value).decode()
    except TypeError:
        if isinstance(value, dict):
            return "{" + ",".join(f'"{k}":{json_text(v)}' for k, v in value.items()) + "}"
        if isinstance(value, (list, tuple)):
            return "[" + ",".join(map(json_text, value)) + "]"
        return canonical_json(str(value)).decode()


def framed(table: pa.Table, columns: Sequence[str]) -> pa.ChunkedArray:
    """One binary a row that two different rows never share: ``name:length:value`` of each column.

    Nulls leave nothing behind, so that a column that is added later changes no row by itself.
    """
    parts = []
    for name in sorted(columns):
        text = as_text(table[name])
        head = pc.cast(pc.cast(pc.binary_length(text), pa.string()), pa.binary())
        label = pa.scalar(f"{len(name)}:{name}:".encode(), pa.binary())
        colon = pa.scalar(b":", pa.binary())
        one = pc.binary_join_element_wise(label, head, text, colon, null_handling="emit_null")
        parts.append(pc.fill_null(one, pa.scalar(b"", pa.binary())))
    if not parts:
        return pa.chunked_array([pa.array([b""] * table.num_rows, pa.binary())])
    empty = pa.scalar(b"", pa.binary())
    return pc.binary_join_element_wise(*parts, empty)


def row_hashes(table: pa.Table, columns: Sequence[str]) -> pa.Array:
    """64-bit fingerprints of the named columns of each row, as uint64, in the table's order."""
    digests = b"".join(
        hashlib.blake2b(row, digest_size=8).digest()
        for chunk in framed(table, columns).chunks
        for row in chunk.to_pylist()
    )
    return pa.array(np.frombuffer(digests, dtype=">u8").astype(np.uint64))


def key_array(table: pa.Table, key: Sequence[str]) -> pa.Array:
    """The key of each row as one array: the column itself, or all of them framed as one binary."""
    column = table[key[0]] if len(key) == 1 else framed(table, key)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)
