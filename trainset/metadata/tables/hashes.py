"""Fingerprints of rows of any type, and keys of several columns as one array.

``_row_hash`` only tells whether a row is the same as before, so it is made of the values' bytes,
column by column, without writing them as text: some fifteen times faster than the fingerprints of
``trainset.tables.row_hash``, whose bits are those of canonical JSON. It lies in commits: the same
values must give the same number in every version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from trainset.identity import canonical_json

Words = NDArray[np.uint64]
_LONG = 512  # bytes; longer values are hashed one by one
_BLOCK = 16_384  # values at a time: their words stay in the processor's cache
_FIRST_BYTES = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # masks
_STEP, _MIX1, _MIX2 = (
    np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def row_hashes(table: pa.Table, columns: Sequence[str]) -> pa.Array:
    """64-bit fingerprints of the named columns of each row, as uint64, in the table's order.

    The order of columns does not matter, and neither do nulls: a column that is added with nothing
    in it changes no row. Integers of any width are the same, and so are both kinds of floats.

    Source:
        Steele, Lea, Flood 2014 (SplitMix64): the mixing of one word.
    """
    total = np.zeros(table.num_rows, np.uint64)
    for name in columns:
        seed = hashlib.blake2b(name.encode(), digest_size=8).digest()
        salt = np.frombuffer(seed, "<u8").astype(np.uint64)
        start = 0
        for chunk in table[name].chunks:
            if chunk.null_count < len(chunk):
                words = _mixed(_value_words(chunk) ^ salt)
                if chunk.null_count:
                    words[pc.is_null(chunk).to_numpy(zero_copy_only=False)] = 0
                total[start : start + len(chunk)] += words
            start += len(chunk)
    return pa.array(_mixed(total))


def _value_words(values: pa.Array) -> Words:
    """One word a value; whatever stands where it is null."""
    kind = values.type
    if types.is_boolean(kind):
        values = pc.cast(values, pa.int8())
    if types.is_decimal(kind):
        width = kind.byte_width // 8
        words = np.frombuffer(values.buffers()[1], "<u8")[values.offset * width :]
        found = np.zeros(len(values), np.uint64)
        for i in range(width):
            found = _mixed(found ^ words[i : len(values) * width : width])
        return found
    if types.is_floating(kind):
        floats: np.ndarray = pc.cast(pc.fill_null(values, 0), pa.float64()).to_numpy() + 0.0
        floats = np.where(np.isnan(floats), np.nan, floats)  # of all NaNs one
        return floats.astype("<f8").view("<u8").astype(np.uint64)
    if types.is_integer(values.type):
        numbers: np.ndarray = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
        return numbers.astype(np.uint64)
    if types.is_temporal(kind) and not types.is_interval(kind):
        bits = pa.int32() if kind.bit_width == 32 else pa.int64()
        return _value_words(values.view(bits))
    if not types.is_string(kind) and not types.is_binary(kind):
        (values,) = as_bytes(pa.chunked_array([values])).chunks
    return _text_words(values)


def _text_words(values: pa.Array) -> Words:
    """Texts and bytes of any length, eight bytes of all of them at a time."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    raw = memoryview(b"" if data is None else data)
    found = np.empty(len(values), np.uint64)
    for at in range(0, len(values), _BLOCK):
        block = bounds[at : at + _BLOCK + 1].astype(np.int64)
        padded = bytearray(raw[block[0] : block[-1]])
        padded += bytes(8)  # the last word may reach behind the end
        found[at : at + _BLOCK] = _block_words(padded, block - block[0])
    return found


def _block_words(padded: bytearray, bounds: NDArray[np.int64]) -> Words:
    words = np.ndarray((len(padded) - 7,), "<u8", padded, strides=(1,))
    lengths = np.diff(bounds)
    found = _mixed(lengths.astype(np.uint64))
    rows = np.flatnonzero(lengths <= _LONG)
    # Of the rows with bytes left: where they go on, how many there are, and the word so far.
    at, left, state = bounds[rows], lengths[rows], found[rows]
    while len(rows):
        if left.min() <= 0:
            found[rows] = state
            more = left > 0
            rows, at, left, state = rows[more], at[more], left[more], state[more]
            continue
        word = words[at].astype(np.uint64, copy=False)
        if left.min() < 8:
            word &= _FIRST_BYTES[np.minimum(left, 8)]
        word ^= state
        state = _mixed(word)
        at += 8
        left -= 8
    for row in np.flatnonzero(lengths > _LONG):
        whole = memoryview(padded)[bounds[row] : bounds[row + 1]]
        digest = hashlib.blake2b(whole, digest_size=8).digest()
        found[row] = int.from_bytes(digest, "little")
    return found


def _mixed(words: Words) -> Words:
    words = words + _STEP
    shifted = words >> np.uint64(30)  # one array for all three: memory is what costs here
    words ^= shifted
    words *= _MIX1
    np.right_shift(words, np.uint64(27), out=shifted)
    words ^= shifted
    words *= _MIX2
    np.right_shift(words, np.uint64(31), out=shifted)
    words ^= shifted
    return words


def plain_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as text; null stays null. Bytes are in hex, what Arrow cannot write is JSON."""
    kind = column.type
    if types.is_timestamp(kind) and kind.tz is not None:
        # Arrow writes a time without its zone fifteen times faster; it holds UTC in any case.
        texts = pc.cast(pc.cast(column, pa.timestamp(kind.unit)), pa.string())
        return pc.binary_join_element_wise(texts, "Z", "")
    if not types.is_binary(kind) and not types.is_nested(kind):
        try:
            return pc.cast(column, pa.string())
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            pass
    found = [
        None if v is None else v.hex() if isinstance(v, bytes) else json_text(v)
        for v in column.to_pylist()
    ]
    return pa.chunked_array([pa.array(found, pa.string())])


def as_bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as bytes: their own, or those of their text."""
    return pc.cast(column if types.is_binary(column.type) else plain_text(column), pa.binary())


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


def key_array(table: pa.Table, key: Sequence[str]) -> pa.Array:
    """The key of each row as one array: the column itself, or all of them framed as one binary."""
    column = table[key[0]] if len(key) == 1 else _framed(table, key)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)


def _framed(table: pa.Table, columns: Sequence[str]) -> pa.ChunkedArray:
    """``length:value`` of each column in a binary that two different rows never share."""
    parts = []
    for name in columns:
        text = as_bytes(table[name])
        head = pc.cast(pc.cast(pc.binary_length(text), pa.string()), pa.binary())
        colon, empty = pa.scalar(b":", pa.binary()), pa.scalar(b"", pa.binary())
        parts.append(pc.binary_join_element_wise(head, text, colon))
        parts[-1] = pc.fill_null(parts[-1], empty)
    return pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.binary()))
