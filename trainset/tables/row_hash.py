"""Row ids and fingerprints of many rows at once: the same bits as ``identity`` gives row by row.

The canonical JSON of a row is written a column at a time; what is left to do for each row alone is
to hash it. Values that JSON writes otherwise than Arrow does are written by ``identity``.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from trainset.identity import canonical_json

_CHUNK = 8_192  # rows written at once; bounds memory, does not change the result
_TEXT = pa.large_string()
_EMPTY = pa.scalar("", _TEXT)
_BACKSLASH, _QUOTE, _COMMA, _BRACKET = b'\\",]'


def row_ids(keys: pa.ChunkedArray | pa.Array) -> pa.Array:
    """``identity.row_id`` of every key; no key is null."""

    def write(part: pa.Table) -> _Line:
        line = _Line(len(part))
        line.json(part["key"])
        return line

    digits = _hash(write, pa.table({"key": keys}), size=16).hex().encode()
    offsets = np.arange(len(keys) + 1, dtype=np.int64) * 32
    texts = pa.LargeStringArray.from_buffers(len(keys), pa.py_buffer(offsets), pa.py_buffer(digits))
    return texts.cast(pa.string())


def row_fingerprints(rows: pa.Table, columns: Sequence[str]) -> pa.Array:
    """``identity.row_fingerprint`` of every row, over columns of texts, floats and their lists.

    Raises:
        TypeError: a column has another type.
    """
    names = sorted(columns)

    def write(part: pa.Table) -> _Line:
        line = _Line(len(part))
        ahead = "{"
        for name in names:
            line.constant(f"{ahead}{canonical_json(name).decode()}:")
            line.json(part[name])
            ahead = ","
        line.constant("}")
        return line

    raw = _hash(write, rows.select(names), size=8)
    return pa.array(np.frombuffer(raw, ">u8").astype(np.uint64))


def json_values(values: pa.ChunkedArray | pa.Array) -> pa.LargeStringArray:
    """Values as canonical JSON, texts without nulls.

    Raises:
        TypeError: these are no texts, numbers, booleans or lists of a fixed number of floats.
    """
    line = _Line(len(values))
    line.json(values)
    return line.joined()


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


def _hash(write: Callable[[pa.Table], _Line], rows: pa.Table, *, size: int) -> bytes:
    """The BLAKE2b digests of all rows, one after the other.

    A few chunks are written at once, then hashed. Arrow lets go of the interpreter and hashing
    short texts does not: doing both at once would only make the writers wait for their turn.
    """
    fresh = hashlib.blake2b(digest_size=size).copy  # a copy costs less than a new one

    def lines(start: int) -> tuple[memoryview, list[int]]:
        joined = write(rows.slice(start, _CHUNK)).joined()
        _, offsets, data = joined.buffers()
        return memoryview(data), np.frombuffer(offsets, np.int64)[: len(joined) + 1].tolist()

    found = []
    threads = min(os.cpu_count() or 1, 8)
    group = _CHUNK * 2 * threads
    with ThreadPoolExecutor(threads, "row-hash") as writers:
        for first in range(0, len(rows), group):
            starts = range(first, min(first + group, len(rows)), _CHUNK)
            for data, (start, *ends) in writers.map(lines, starts):
                digests = []
                for end in ends:
                    hashing = fresh()
                    hashing.update(data[start:end])
                    digests.append(hashing.digest())
                    start = end
                found.append(b"".join(digests))
    return b"".join(found)


class _Line:
    """Canonical JSON of many rows, put together from the left; constants that meet are one."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._pieces: list[pa.Array | pa.Scalar] = []
        self._text = ""

    def constant(self, text: str) -> None:
        self._text += text

    def json(self, values: pa.ChunkedArray | pa.Array) -> None:
        """The values of a column; null where they are."""
        array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        kind = array.type
        if array.null_count == len(array):
            self.constant("null")
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            self._texts(_escaped(array.cast(_TEXT)))
        elif pa.types.is_float64(kind):
            self._values(_numbers(array, array.to_numpy(zero_copy_only=False)))
        elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
            self._values(pc.cast(array, _TEXT))
        elif pa.types.is_fixed_size_list(kind) and pa.types.is_float64(kind.value_type):
            width = kind.list_size
            values = array.values.slice(array.offset * width, len(array) * width)
            lists = pc.fill_null(values, math.nan).to_numpy(zero_copy_only=False)
            self._values(_numbers(array, lists.reshape(-1, width)))
        else:
            raise TypeError(f"a column of {kind} has no fingerprint yet; add it in row_hash")

    def joined(self) -> pa.LargeStringArray:
        pieces = [*self._pieces, _constant(self._text)]
        found = pc.binary_join_element_wise(
            *pieces, _EMPTY, null_handling="replace", null_replacement="null"
        )
        return pa.repeat(found, self._rows) if isinstance(found, pa.Scalar) else found

    def _texts(self, escaped: pa.LargeStringArray) -> None:
        if not escaped.null_count:
            self.constant('"')
            self._values(escaped)
            self.constant('"')
            return
        quote = _constant('"')
        self._values(pc.binary_join_element_wise(quote, escaped, quote, _EMPTY))

    def _values(self, written: pa.LargeStringArray) -> None:
        self._pieces += [_constant(self._text), written]
        self._text = ""


def _escaped(array: pa.LargeStringArray) -> pa.LargeStringArray:
    """What stands between the quotes of JSON strings; nulls stay."""
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset :]
    first, last = offsets[0], offsets[len(array)]
    if first == last:
        return array
    data = np.frombuffer(array.buffers()[2], np.uint8)[first:last]
    if (data == _BACKSLASH).any():  # before the others: they bring new ones
        array = _escape(array, _BACKSLASH)
    if (data == _QUOTE).any():
        array = _escape(array, _QUOTE)
    if data.min() < 0x20:
        for code in np.unique(data[data < 0x20]):
            array = _escape(array, int(code))
    return array


def _escape(array: pa.LargeStringArray, code: int) -> pa.LargeStringArray:
    written = canonical_json(chr(code)).decode()[1:-1]
    return pc.replace_substring(array, pattern=chr(code), replacement=written)


def _numbers(array: pa.Array, numbers: npt.NDArray[np.float64]) -> pa.LargeStringArray:
    """JSON of floats, or of their lists, as ``identity`` writes them; nulls stay.

    Args:
        array: (N,) the values.
        numbers: (N,) or (N, width) the same; NaN where a number is null.
    """
    size = np.abs(numbers)
    plain = (size == 0) | ((size >= 1e-4) & (size < 1e9))  # here ``orjson`` writes the same
    written = _plain_numbers(np.where(plain, numbers, 0))
    valid = pc.is_valid(array)
    rare = valid.to_numpy(zero_copy_only=False) & ~plain.reshape(len(array), -1).all(axis=1)
    if rare.any():
        values = array.filter(pa.array(rare)).to_pylist()
        others = pa.array([canonical_json(value).decode() for value in values], _TEXT)
        written = pc.replace_with_mask(written, pa.array(rare), others)
    return pc.if_else(valid, written, None) if array.null_count else written


def _plain_numbers(numbers: npt.NDArray[np.float64]) -> pa.LargeStringArray:
    listed = orjson.dumps(np.ascontiguousarray(numbers), option=orjson.OPT_SERIALIZE_NUMPY)
    data = np.frombuffer(listed, np.uint8)[1:-1]  # without the outer brackets
    apart = data == _COMMA
    if numbers.ndim > 1:
        apart[1:] &= data[:-1] == _BRACKET
    offsets = np.zeros(len(numbers) + 1, np.int64)
    commas = np.flatnonzero(apart)
    offsets[1:-1], offsets[-1] = commas - np.arange(len(commas)), len(data) - len(commas)
    return pa.LargeStringArray.from_buffers(
        len(numbers), pa.py_buffer(offsets), pa.py_buffer(data[~apart])
    )


def _constant(text: str) -> pa.Scalar:
    return pa.scalar(text, _TEXT)
