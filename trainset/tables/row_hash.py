"""Row ids and fingerprints of many rows at once: the same bits as ``identity`` gives row by row.

The canonical JSON of a row is written a column at a time; what is left to do for each row alone is
to hash it. Values that JSON writes otherwise than Arrow does are written by ``identity``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.identity import canonical_json

_CHUNK = 16_384  # rows written at once; bounds memory, does not change the result
_TEXT = pa.large_string()
_EMPTY = pa.scalar("", _TEXT)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


def row_ids(keys: pa.ChunkedArray | pa.Array) -> pa.Array:
    """``identity.row_id`` of every key; no key is null."""
    (keys,) = pa.table({"key": keys}).columns
    raw = np.frombuffer(
        _hash(lambda part: [json_values(part["key"])], pa.table({"key": keys}), size=16), np.uint8
    )
    digits = np.empty((len(keys), 32), np.uint8)
    digits[:, 0::2] = _HEX[raw >> 4].reshape(-1, 16)
    digits[:, 1::2] = _HEX[raw & 15].reshape(-1, 16)
    offsets = np.arange(len(keys) + 1, dtype=np.int64) * 32
    texts = pa.LargeStringArray.from_buffers(
        len(keys), pa.py_buffer(offsets), pa.py_buffer(digits.reshape(-1))
    )
    return texts.cast(pa.string())


def row_fingerprints(rows: pa.Table, columns: Sequence[str]) -> pa.Array:
    """``identity.row_fingerprint`` of every row, over columns of texts, floats and their lists.

    Raises:
        TypeError: a column has another type.
    """
    names = sorted(columns)

    def pieces(part: pa.Table) -> Iterator[pa.Array | pa.Scalar]:
        ahead = "{"
        for name in names:
            yield _constant(f"{ahead}{canonical_json(name).decode()}:")
            yield json_values(part[name])
            ahead = ","
        yield _constant("}")

    raw = _hash(pieces, rows.select(names), size=8)
    return pa.array(np.frombuffer(raw, ">u8").astype(np.uint64))


def json_objects(fields: Mapping[str, pa.Array], rows: int) -> pa.StringArray:
    """One JSON object a row, of JSON values by name, canonical; null where all of them are."""
    pieces = []
    for name in sorted(fields):
        label = _constant(f"{canonical_json(name).decode()}:")
        one = pc.binary_join_element_wise(label, fields[name].cast(_TEXT), _constant(","), _EMPTY)
        pieces.append(pc.fill_null(one, _EMPTY))
    if not pieces:
        return pa.nulls(rows, pa.string())
    inner = pc.utf8_rtrim(pc.binary_join_element_wise(*pieces, _EMPTY), ",")
    made = pc.binary_join_element_wise(_constant("{"), inner, _constant("}"), _EMPTY)
    return pc.if_else(pc.equal(inner, _EMPTY), pa.scalar(None, _TEXT), made).cast(pa.string())


def _hash(
    pieces: Callable[[pa.Table], Iterable[pa.Array | pa.Scalar]], rows: pa.Table, *, size: int
) -> bytes:
    """The BLAKE2b digests of all rows, one after the other.

    A few chunks are written at once, then hashed. Arrow lets go of the interpreter and hashing
    short texts does not: doing both at once would only make the writers wait for their turn.
    """
    blake2b = hashlib.blake2b
    newline = _constant("\n")  # JSON escapes it, so that it can end a row here

    def write(start: int) -> list[bytes]:
        part = rows.slice(start, _CHUNK)
        joined = pc.binary_join_element_wise(*pieces(part), newline, _EMPTY)
        joined = joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
        offsets = np.frombuffer(joined.buffers()[1], np.int64)[joined.offset :]
        data = memoryview(joined.buffers()[2])[offsets[0] : offsets[len(joined)]]
        return data.tobytes().split(b"\n")[:-1]

    found = []
    threads = min(os.cpu_count() or 1, 8)
    group = _CHUNK * 2 * threads
    with ThreadPoolExecutor(threads, "row-hash") as writers:
        for first in range(0, len(rows), group):
            starts = range(first, min(first + group, len(rows)), _CHUNK)
            for lines in writers.map(write, starts):
                found.append(b"".join([blake2b(x, digest_size=size).digest() for x in lines]))
    return b"".join(found)


def json_values(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Values as canonical JSON, texts without nulls.

    Raises:
        TypeError: these are no texts, numbers, booleans or lists of a fixed number of floats.
    """
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if array.null_count == len(array):
        return pa.repeat(_constant("null"), len(array))
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        written = _quoted(array.cast(_TEXT))
    elif pa.types.is_float64(kind):
        written = _numbers(array)
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        written = pc.cast(array, _TEXT)
    elif pa.types.is_fixed_size_list(kind) and pa.types.is_float64(kind.value_type):
        written = _number_lists(array)
    else:
        raise TypeError(f"a column of {kind} has no fingerprint yet; add it in row_hash")
    return pc.fill_null(written, "null")


def _quoted(array: pa.LargeStringArray) -> pa.LargeStringArray:
    """JSON strings; nulls stay."""
    data = array.buffers()[2]
    met = np.zeros(256, bool)
    if data is not None:
        first, last = (array.offset, array.offset + len(array))
        offsets = np.frombuffer(array.buffers()[1], np.int64)
        met[np.frombuffer(data, np.uint8)[offsets[first] : offsets[last]]] = True
    special = [b"\\"[0], b'"'[0], *range(0x20)]  # the backslash first: the others bring new ones
    for code in special:
        if met[code]:
            escaped = canonical_json(chr(code)).decode()[1:-1]
            array = pc.replace_substring(array, pattern=chr(code), replacement=escaped)
    quote = _constant('"')
    return pc.binary_join_element_wise(quote, array, quote, _EMPTY)


def _numbers(array: pa.DoubleArray) -> pa.LargeStringArray:
    """JSON numbers as Python writes them; nulls stay."""
    written = pc.cast(array, _TEXT)
    size = np.abs(pc.fill_null(array, 0.0).to_numpy(zero_copy_only=False))
    # Here both write the fewest digits that say the number, without an exponent.
    plain = (size == 0) | ((size >= 1e-4) & (size < 1e9))
    whole = plain & (size == np.floor(size))
    if whole.any():
        ended = pc.binary_join_element_wise(written, _constant(".0"), _EMPTY)
        written = pc.if_else(pa.array(whole), ended, written)
    if not plain.all():
        rare = pa.array(~plain)
        texts = [canonical_json(value).decode() for value in array.filter(rare).to_pylist()]
        written = pc.replace_with_mask(written, rare, pa.array(texts, _TEXT))
    return written


def _number_lists(array: pa.FixedSizeListArray) -> pa.LargeStringArray:
    """JSON lists of numbers; nulls stay."""
    width = array.type.list_size
    values = array.values.slice(array.offset * width, len(array) * width)
    inner = pc.fill_null(_numbers(values), "null")
    columns = [inner.take(pa.array(np.arange(i, len(inner), width))) for i in range(width)]
    joined = pc.binary_join_element_wise(*columns, _constant(","))
    listed = pc.binary_join_element_wise(_constant("["), joined, _constant("]"), _EMPTY)
    return pc.if_else(pc.is_valid(array), listed, pa.scalar(None, _TEXT))


def _constant(text: str) -> pa.Scalar:
    return pa.scalar(text, _TEXT)
