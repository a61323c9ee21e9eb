"""Writing one Parquet file of a stream, batch by batch."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainset.metadata.store import DataFile


class ParquetPart:
    """A Parquet file that is made at its first row and named by its content."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0
        self.made: tuple[Path, ...] = ()

    def add(self, table: pa.Table) -> None:
        if table.num_rows:
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._path, self._schema, compression="zstd")
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
