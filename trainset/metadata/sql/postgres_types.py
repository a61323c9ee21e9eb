"""PostgreSQL's types -> Arrow's, and the expression that reads them. Pure.

Only types that ADBC reads faithfully and Parquet can hold keep their own; all others are read as
the text that PostgreSQL writes. Arrays are JSON text: a column ``int[]`` may hold arrays of any
dimension, and ADBC flattens ``{{1,2},{3,4}}`` without a word. Intervals are ISO 8601 text: no
number of seconds is a month.
"""

from __future__ import annotations

import pyarrow as pa

_NATIVE: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "name": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
_MAX_PRECISION = 38  # of decimal128


def read_as(quoted: str, typname: str, category: str, typmod: int) -> tuple[pa.DataType, str, str]:
    """How one column is read.

    Args:
        quoted: the column, quoted.
        typname: of ``pg_type``; of a domain, that of its base.
        category: ``pg_type.typcategory``.
        typmod: ``atttypmod``; -1 for none.
    Returns:
        Its Arrow type, the expression for that type, the expression for text.
    """
    if category == "A":
        as_json = f"to_json({quoted})::text"
        return pa.string(), as_json, as_json
    if typname == "money":  # its own text depends on the server's locale
        return pa.string(), f"{quoted}::numeric::text", f"{quoted}::numeric::text"
    text = f"{quoted}::text"
    if typname == "oid":
        return pa.int64(), f"{quoted}::int8", text
    if typname == "numeric":
        return _numeric(typmod), text, text
    native = _NATIVE.get(typname)
    return (pa.string(), text, text) if native is None else (native, quoted, text)


def _numeric(typmod: int) -> pa.DataType:
    """decimal128 when precision and scale are declared and fit; else text keeps every digit."""
    if typmod < 0:
        return pa.string()
    packed = typmod - 4
    precision, scale = (packed >> 16) & 0xFFFF, packed & 0x7FF
    if scale > 1023:  # an eleven-bit signed number: a negative scale
        return pa.string()
    if not (0 < precision <= _MAX_PRECISION and scale <= precision):
        return pa.string()
    return pa.decimal128(precision, scale)
