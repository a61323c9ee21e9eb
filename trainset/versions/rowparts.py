"""Slim views of large tables in parts, so that no comparison holds a whole table in memory.

A part has all rows of all tables whose ids fall to it. Tables are read once: what is not looked at
yet waits on disk, in the folder of temporary files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainset.tables.base import Table
from trainset.versions.rowstate import slim, slim_readers

ROWS_AT_ONCE = 1_000_000  # of the largest table; some 300 bytes each and side
_MIXED = 4  # bytes of an id that choose its part


def slim_parts(
    tables: Sequence[Table | None], *, rows_at_once: int = ROWS_AT_ONCE
) -> Iterator[list[pa.Table]]:
    """As ``rowstate.slim``, in as many parts as it takes; the parts of one table make it up."""
    rows = max((table.count() for table in tables if table is not None), default=0)
    parts = ceil(rows / rows_at_once)
    if parts <= 1:
        yield slim(tables)
        return
    with TemporaryDirectory(prefix="trainset-compare-") as scratch:
        readers = slim_readers(tables)
        schemas = [reader.schema for reader in readers]
        for number, reader in enumerate(readers):
            _deal(reader, [Path(scratch, f"{number}-{part}") for part in range(parts)])
        for part in range(parts):
            yield [_read(Path(scratch, f"{n}-{part}"), schema) for n, schema in enumerate(schemas)]


def _deal(reader: pa.RecordBatchReader, files: Sequence[Path]) -> None:
    """Append each row to the file of its part."""
    with ExitStack() as stack:
        writers = [stack.enter_context(pa.ipc.new_stream(str(f), reader.schema)) for f in files]
        for batch in reader:
            parts = _parts(batch.column("row_id"), len(files))
            order = np.argsort(parts, kind="stable")
            sorted_ = batch.take(pa.array(order))
            ends = np.searchsorted(parts[order], np.arange(len(files) + 1))
            for part, writer in enumerate(writers):
                if ends[part + 1] > ends[part]:
                    writer.write_batch(sorted_.slice(ends[part], ends[part + 1] - ends[part]))


def _read(file: Path, schema: pa.Schema) -> pa.Table:
    with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
        return pa.Table.from_batches(stream, schema)


def _parts(ids: pa.Array, count: int) -> NDArray[np.int64]:
    """(N,) the part of each id: by its last bytes, which are as good as any of our hashes'."""
    texts = ids.cast(pa.large_string())
    ends = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset :][: len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    mixed = np.zeros(len(texts), np.uint64)
    for back in range(1, 1 + min(_MIXED, len(data))):
        there = np.diff(ends) >= back
        byte = data[np.where(there, ends[1:] - back, 0)].astype(np.uint64)
        mixed = mixed * np.uint64(257) + np.where(there, byte, 0).astype(np.uint64)
    mixed = mixed * np.uint64(0x9E37_79B9_7F4A_7C15) >> np.uint64(33)
    found: NDArray[np.int64] = (mixed % np.uint64(count)).astype(np.int64)
    return found
