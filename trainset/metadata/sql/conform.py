"""Rows as a driver gives them -> the columns' types; what does not fit is named. Pure.

No value is lost on the way: a column with a value that its type cannot hold (an infinite timestamp,
a NaN in a numeric, text in an INTEGER column of SQLite) becomes text for that batch, and whoever
stores it decides (a contract keeps the type and puts the original aside).
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_US = 1_000_000
_DAY_US = 86_400 * _US
# PostgreSQL's time begins in 4713 BC. Below is only what overflowed: an infinity.
_FIRST_US = -220_000 * 10**12
_FIRST_DAY = -2_500_000


def conform(rows: pa.Table, schema: pa.Schema) -> tuple[pa.Table, tuple[str, ...]]:
    """Cast every column to its type.

    Returns:
        The rows, and the names of columns to read again as text because the driver's own type has
        lost values. A column that came as text and does not fit stays text.
    """
    arrays, misfits = [], []
    for position, wanted in enumerate(schema):
        column = _storage(rows.column(position))
        if _overflowed(column) or (fitted := _cast(column, wanted.type)) is None:
            misfits.append(wanted.name)
            fitted = column
        arrays.append(fitted)
    return pa.table(arrays, names=schema.names), tuple(misfits)


def _storage(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Without extension types (json, uuid, opaque): they do not survive a Parquet file."""
    if isinstance(column.type, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in column.chunks]
        return pa.chunked_array(chunks, type=column.type.storage_type)
    return column


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray | None:
    """None when the driver's type has lost what the database holds."""
    if column.type == wanted:
        return column
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), wanted)], type=wanted)
    if pa.types.is_floating(column.type) and pa.types.is_integer(wanted):
        return None  # integers beyond 2^53 beside a fraction were rounded
    text = pa.types.is_string(column.type)
    if pa.types.is_string(wanted) and not text and not pa.types.is_binary(column.type):
        return None  # 1.0 and 1 are not told apart any more
    try:
        return column.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return column if text else None


def _overflowed(column: pa.ChunkedArray) -> bool:
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _below(column.cast(pa.int64()), _FIRST_US)
    if pa.types.is_date32(kind):
        return _below(column.cast(pa.int32()), _FIRST_DAY)
    if pa.types.is_time64(kind):  # 24:00:00 is a time of PostgreSQL
        greatest = pc.max(column.cast(pa.int64())).as_py()
        return greatest is not None and bool(greatest >= _DAY_US)
    return False


def _below(numbers: pa.ChunkedArray, bound: int) -> bool:
    least = pc.min(numbers).as_py()
    return least is not None and bool(least < bound)
