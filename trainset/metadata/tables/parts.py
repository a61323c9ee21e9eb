"""Parts of a table in a workspace: reading them in one schema, writing them anew without rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainset.metadata.parts import ParquetPart
from trainset.metadata.store import CommitFiles, DataFile
from trainset.metadata.tables.cast import cast_values
from trainset.metadata.tables.contract import ROW_HASH, SYSTEM
from trainset.metadata.tables.hashes import key_array
from trainset.metadata.tables.upsert import Mask
from trainset.versions.base import Workspace

PART_ROWS = 100_000
READ_ROWS = 50_000


def with_system(schema: pa.Schema) -> pa.Schema:
    return pa.schema([*schema, *SYSTEM])


def read_rows(
    files: CommitFiles, path: str, schema: pa.Schema, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Rows of one part in ``schema``; a column that it lacks is null."""
    wanted = list(schema.names if columns is None else columns)
    with pq.ParquetFile(files.fetch(path)) as file:
        held = [name for name in wanted if name in file.schema_arrow.names]
        for batch in file.iter_batches(READ_ROWS, columns=held):
            rows = pa.Table.from_batches([batch])
            yield pa.table(
                [
                    cast_values(rows[name], schema.field(name).type)[0]
                    if name in held
                    else pa.nulls(rows.num_rows, schema.field(name).type)
                    for name in wanted
                ],
                names=wanted,
            )


def keys_and_hashes(
    files: CommitFiles, path: str, schema: pa.Schema, key: Sequence[str]
) -> tuple[pa.Array | None, np.ndarray]:
    """Key (None without one) and row hash of every row of one part, in order."""
    keys, hashes = [], [np.empty(0, np.uint64)]
    for rows in read_rows(files, path, schema, [*key, ROW_HASH]):
        if key:
            keys.append(key_array(rows, key))
        hashes.append(rows[ROW_HASH].to_numpy())
    return pa.concat_arrays(keys) if keys else None, np.concatenate(hashes)


def has_types(files: CommitFiles, path: str, schema: pa.Schema) -> bool:
    """Whether the columns that a part has are of the types of ``schema``."""
    found = pq.read_schema(files.fetch(path))
    return all(schema.field(f.name).type == f.type for f in found if f.name in schema.names)


class PartWriter:
    """Writes rows into parts of ``PART_ROWS``, each put into the workspace when it is full."""

    def __init__(self, workspace: Workspace, folder: str, schema: pa.Schema, name: str) -> None:
        self._workspace, self._folder, self._schema, self._name = workspace, folder, schema, name
        self._scratch = tempfile.TemporaryDirectory(prefix="trainset-sync-")
        self._part: ParquetPart | None = None
        self.files: list[DataFile] = []

    def add(self, rows: pa.Table) -> None:
        while rows.num_rows:
            if self._part is None:
                self._part = ParquetPart(Path(self._scratch.name) / "part.parquet", self._schema)
            room = PART_ROWS - self._part.rows
            self._part.add(rows.slice(0, room))
            rows = rows.slice(room)
            if self._part.rows == PART_ROWS:
                self.flush()

    @property
    def is_flush_due(self) -> bool:
        return self._part is None or self._part.rows >= PART_ROWS // 2

    def add_part(self, path: str, keep: Mask) -> None:
        """The rows of another part that ``keep`` says, in order."""
        start = 0
        for rows in read_rows(self._workspace, path, self._schema):
            mask = keep[start : start + rows.num_rows]
            start += rows.num_rows
            self.add(rows if mask.all() else rows.filter(pa.array(mask)))

    def flush(self) -> None:
        """End the part that is being written; it lies in the workspace afterwards."""
        if self._part is None:
            return
        made = self._part.close(f"{self._name}-{len(self.files):05d}")
        for file, local in zip(made, self._part.made, strict=True):
            self._workspace.put_file(self._folder + file.path, local)
            local.unlink()
        self.files += made
        self._part = None

    def close(self) -> None:
        self.flush()
        self._scratch.cleanup()


def same_rows(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two tables hold the same rows, in whatever order, by their hashes."""
    return len(one) == len(other) and bool(np.array_equal(np.sort(one), np.sort(other)))
