"""Which quarantined values still stand: those of rows that are in the table now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.base import Rejected
from trainset.metadata.tables.cast import NO_KEY, record_name
from trainset.metadata.tables.contract import META
from trainset.metadata.tables.parts import read_rows
from trainset.metadata.tables.upsert import Mask


def standing(
    old: Sequence[Rejected],
    fresh: Sequence[Rejected],
    parts: Iterable[tuple[Path, Mask]],
    schema: pa.Schema,
    key: Sequence[str],
) -> list[Rejected]:
    """What is set aside after a sync, in a stable order.

    A row that was mended, replaced or deleted takes its items with it. A row without a key is no
    row of the table: its item stays until the table is read anew.

    Args:
        old: of the base commit; ``fresh``: found by this sync.
        parts: of the table as it will be: file, and which of its rows are in it.
    """
    if not old and not fresh:
        return []
    changed = _changed_rows(parts, schema, key)
    found = [item for item in fresh if item.kind == NO_KEY or item.record in changed]
    again = {item.record for item in found}
    found += [
        item
        for item in old
        if item.record not in again and (item.kind == NO_KEY or item.record in changed)
    ]
    unique = {(r.record, r.kind, r.reason, r.original): r for r in found}
    return [unique[name] for name in sorted(unique)]


def _changed_rows(
    parts: Iterable[tuple[Path, Mask]], schema: pa.Schema, key: Sequence[str]
) -> set[str]:
    """Names of the rows that have a value nulled."""
    columns = [*(key or [n for n in schema.names if not n.startswith("_")][:4]), META]
    names = set()
    for path, mask in parts:
        start = 0
        for rows in read_rows(path, schema, columns):
            wanted = pc.is_valid(rows[META]).to_numpy() & mask[start : start + rows.num_rows]
            start += rows.num_rows
            names |= {record_name(rows, int(row), key) for row in np.flatnonzero(wanted)}
    return names
