"""The root hash: one number for what a commit's tables say, whatever files hold it.

Over rows in ``row_id`` order: ``row_id``, ``row_fp`` and, of every computed column, ``c__src`` and
``c__fn``. Values of cells are not hashed: models give the same vector only up to rounding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from trainset.tables.base import Table


def root_hash(tables: Mapping[str, Table]) -> str:
    """128-bit hash of the tables' content, as 32 hex digits; equal when the rows are the same."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tables):
        cells = [n for n in tables[name].schema.names if n.endswith(("__src", "__fn"))]
        columns = ["row_id", "row_fp", *sorted(cells)]
        rows = tables[name].scan(columns).read_all().sort_by("row_id")
        if rows.num_rows == 0:
            continue  # a rollback empties a table that the older commit did not have
        digest.update(f"{name}\0{rows.num_rows}\0".encode())
        for column in columns:
            if rows[column].null_count == rows.num_rows:
                continue  # a column that was added and never filled says nothing
            digest.update(f"{column}\0".encode())
            _update(digest, rows[column].combine_chunks())
    return digest.hexdigest()


def _update(digest: hashlib.blake2b, values: pa.Array) -> None:
    digest.update(pc.is_valid(values).cast(pa.uint8()).to_numpy().tobytes())
    if pa.types.is_uint64(values.type):
        digest.update(values.fill_null(0).to_numpy().astype("<u8").tobytes())
    else:
        digest.update("\0".join(v or "" for v in values.to_pylist()).encode())
