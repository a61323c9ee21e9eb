"""Parquet parts of a table on this machine: reading them in one schema, writing new ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainset.metadata.parts import ParquetPart
from trainset.metadata.store import DataFile
from trainset.metadata.tables.cast import cast_values
from trainset.metadata.tables.contract import ROW_HASH, SYSTEM
from trainset.metadata.tables.hashes import key_array
from trainset.metadata.tables.upsert import Mask

PART_ROWS = 100_000
_READ_ROWS = 50_000


class LocalPart(NamedTuple):
    """A part that lies at ``path``; ``file`` is what a manifest says of it."""

    path: Path
    file: DataFile


def with_system(schema: pa.Schema) -> pa.Schema:
    return pa.schema([*schema, *SYSTEM])


def read_rows(
    path: Path, schema: pa.Schema, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Rows of one part in ``schema``; a column that it lacks is null."""
    wanted = list(schema.names if columns is None else columns)
    with pq.ParquetFile(path) as file:
        held = [name for name in wanted if name in file.schema_arrow.names]
        for batch in file.iter_batches(_READ_ROWS, columns=held):
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
    path: Path, schema: pa.Schema, key: Sequence[str]
) -> tuple[pa.Array | None, np.ndarray]:
    """Key (None without one) and row hash of every row of one part, in order."""
    keys, hashes = [], [np.empty(0, np.uint64)]
    for rows in read_rows(path, schema, [*key, ROW_HASH]):
        if key:
            keys.append(key_array(rows, key))
        hashes.append(rows[ROW_HASH].to_numpy())
    return pa.concat_arrays(keys) if keys else None, np.concatenate(hashes)


def has_types(path: Path, schema: pa.Schema) -> bool:
    """Whether the columns that a part has are of the types of ``schema``."""
    found = pq.read_schema(path)
    return all(schema.field(f.name).type == f.type for f in found if f.name in schema.names)


class PartWriter:
    """Writes rows into parts in a local folder; a part with ``PART_ROWS`` or more is ended."""

    def __init__(self, folder: Path, schema: pa.Schema, name: str) -> None:
        self._folder, self._schema, self._name = folder, schema, name
        self._part: ParquetPart | None = None
        self.parts: list[LocalPart] = []

    def add(self, rows: pa.Table) -> None:
        if self._part is None:
            local = self._folder / f"{self._name}-{len(self.parts):05d}.parquet"
            self._part = ParquetPart(local, self._schema, by_values=True)
        self._part.add(rows)
        if self._part.rows >= PART_ROWS:
            self.flush()

    def add_part(self, path: Path, keep: Mask) -> None:
        """The rows of another part that ``keep`` says, in order."""
        start = 0
        for rows in read_rows(path, self._schema):
            mask = keep[start : start + rows.num_rows]
            start += rows.num_rows
            self.add(rows if mask.all() else rows.filter(pa.array(mask)))

    def flush(self) -> None:
        """End the part that is being written."""
        if self._part is None:
            return
        made = self._part.close(f"{self._name}-{len(self.parts):05d}")
        self.parts += map(LocalPart, self._part.made, made)
        self._part = None


def same_rows(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two tables hold the same rows, in whatever order, by their hashes."""
    return len(one) == len(other) and bool(np.array_equal(np.sort(one), np.sort(other)))
