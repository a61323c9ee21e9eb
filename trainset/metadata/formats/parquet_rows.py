"""Parquet: some rows at a time; structs, lists and maps become what JSON would say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.formats.chunks import CHUNK_ROWS, Data, Fields, plain_number

MAGIC = b"PAR1"
CHUNK_BYTES = 2**23
LONG_BYTES = 4096  # a longer value of bytes (a medium inside the table) is named by its hash


class ParquetChunk:
    """Some rows; times and decimals are their texts, bytes are hex, NaN is ``"NaN"``."""

    rejected: Sequence[Rejected] = ()

    def __init__(self, batch: pa.RecordBatch, first_row: int) -> None:
        self._batch, self._first = batch, first_row

    def __len__(self) -> int:
        rows: int = self._batch.num_rows
        return rows

    def where(self, i: int) -> str:
        return f"row {self._first + i}"

    def fields(self) -> Sequence[Fields]:
        names = self._batch.schema.names
        columns = [_values(column) for column in self._batch.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def columns(self) -> pa.Table | None:
        columns = [_flat(column) for column in self._batch.columns]
        if any(column is None for column in columns):
            return None
        return pa.table(columns, names=self._batch.schema.names)


def read_parquet(data: Data, *, stream: str, place: str) -> Iterator[ParquetChunk]:
    """The rows of a file, some in memory at a time.

    Raises:
        InputError: it is broken, or a column stands twice.
    """
    try:
        with open_parquet(data) as file:
            names = file.schema_arrow.names
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise InputError(f"{place}: the column {twice[0]!r} stands twice; rename one")
            first = 1
            for batch in file.iter_batches(batch_size=_rows_at_once(file)):
                yield ParquetChunk(batch, first)
                first += batch.num_rows
    except (pa.ArrowException, OSError) as err:
        raise InputError(f"{place}: broken Parquet ({err}); write the file again") from err


def open_parquet(data: Data) -> pq.ParquetFile:
    source = pa.BufferReader(data) if isinstance(data, bytes) else data
    return pq.ParquetFile(source, pre_buffer=False, buffer_size=2**20)  # not whole row groups


def _rows_at_once(file: pq.ParquetFile) -> int:
    """So many that they are about ``CHUNK_BYTES``: a row may hold a whole picture."""
    facts = file.metadata
    size = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
    fitting: int = CHUNK_BYTES * facts.num_rows // max(size, 1)
    return max(1, min(CHUNK_ROWS, fitting))


def _flat(column: pa.Array) -> pa.Array | None:
    """A column in one of the types of ``Chunk.columns``; None when it is nested or no text."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_nested(kind):
        return None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_view(kind):
        column = column.cast(pa.string())
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:  # Parquet says that it is UTF-8, and nobody checked
            return None
        return column
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column
    return pa.array(_values(column), pa.string())


def _values(column: pa.Array) -> list[Any]:
    """The values as JSON would have them."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        values: list[Any] = column.to_pylist()
        return values
    if pa.types.is_floating(kind):
        return [None if v is None else plain_number(v) for v in column.to_pylist()]
    try:
        values = column.to_pylist(maps_as_pydicts="lossy")
    except UnicodeDecodeError:
        if pa.types.is_nested(kind):
            raise InputError("a text inside lists or objects is not UTF-8; write it so") from None
        raw = column.cast(pa.binary()).to_pylist()
        return [None if v is None else v.decode("utf-8", "surrogateescape") for v in raw]
    return [_plain(value) for value in values]


def _is_view(kind: pa.DataType) -> bool:
    return bool(kind == pa.string_view())


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return plain_number(value)
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        long = len(value) > LONG_BYTES
        return f"sha256:{hashlib.sha256(value).hexdigest()}" if long else value.hex()
    return str(value)
