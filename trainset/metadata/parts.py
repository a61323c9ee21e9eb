"""Writing one Parquet file of a stream, batch by batch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trainset.metadata.store import DataFile

_SAMPLE = 5_000  # rows


class ParquetPart:
    """A Parquet file that is made at its first row and named by its content.

    Args:
        by_values: each column is encoded as its first values ask for: few different ones as a
            dictionary, other whole numbers and times as differences. A third of the bytes and
            half the time for tables with unique columns.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, by_values: bool = False) -> None:
        self._path, self._schema, self._by_values = path, schema, by_values
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0
        self.made: tuple[Path, ...] = ()

    def add(self, table: pa.Table) -> None:
        if table.num_rows:
            if self._writer is None:
                how = _encodings(table) if self._by_values else {}
                self._writer = pq.ParquetWriter(self._path, self._schema, compression="zstd", **how)
            self._writer.write_table(table)
            self.rows += table.num_rows

    def close(self, name: str) -> tuple[DataFile, ...]:
        """Finish the file; none without rows. The hash in its name makes the name immutable."""
        if self._writer is None:
            return ()
        self._writer.close()
        self.made = (self._path,)
        with self._path.open("rb") as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        return (
            DataFile(
                path=f"{name}-{sha256[:8]}.parquet",
                rows=self.rows,
                size=self._path.stat().st_size,
                sha256=sha256,
            ),
        )


def _encodings(table: pa.Table) -> dict[str, Any]:
    """``use_dictionary`` and ``column_encoding`` for flat columns, by their first values.

    A column has few values when at least four in five of the first are repeats. Hashes, unsigned,
    have no order that differences could use.
    """
    sample = table.slice(0, _SAMPLE)
    flat = [field for field in table.schema if not pa.types.is_nested(field.type)]
    few = [f.name for f in flat if pc.count_distinct(sample[f.name]).as_py() * 5 <= len(sample)]
    ordered = [f.name for f in flat if _is_ordered(f) and f.name not in few]
    return {
        "use_dictionary": few,
        "column_encoding": dict.fromkeys(ordered, "DELTA_BINARY_PACKED"),
    }


def _is_ordered(field: pa.Field) -> bool:
    kind = field.type
    whole = pa.types.is_signed_integer(kind) and kind.bit_width >= 32
    # With a dot, a name would also be that of a field inside a struct, of whatever type.
    return (whole or pa.types.is_timestamp(kind)) and "." not in field.name
