"""Which rows of an upsert are new, changed or the same: found out before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainset.errors import InputError

_LOOKED_UP = 200_000  # stored rows looked up at once

Mask = NDArray[np.bool_]


def compare_rows(rows: pa.Table, stored: Iterable[pa.RecordBatch], key: str) -> tuple[Mask, Mask]:
    """Compare N rows with what is stored, in memory that does not grow with the table.

    Args:
        rows: with ``row_fp``; without it every row that is stored counts as changed.
        stored: batches of ``key`` and ``row_fp`` (of ``key`` alone where ``rows`` has no other).
    Returns:
        Per row: is its key stored; is it stored with the same ``row_fp``. (N,) each.
    Raises:
        InputError: a key comes twice in ``rows``, or is null.
    """
    keys = rows[key].combine_chunks()
    _check_unique(keys, key)
    prints = rows["row_fp"].combine_chunks() if "row_fp" in rows.column_names else None
    found, same = np.zeros(len(keys), dtype=bool), np.zeros(len(keys), dtype=bool)
    for batch in _larger(stored):
        at = pc.index_in(batch.column(0).combine_chunks(), value_set=keys)
        hit = at.is_valid()
        places = at.filter(hit)
        found[_numpy(places)] = True
        if prints is not None:
            equal = pc.equal(batch.column(1).filter(hit), prints.take(places))
            same[_numpy(places)] = _numpy(equal.fill_null(False))
    return found, same


def _larger(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Some hundred thousand rows at a time: each look-up makes the set of all keys anew."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count >= _LOOKED_UP:
            yield pa.Table.from_batches(held)
            held, count = [], 0
    if held:
        yield pa.Table.from_batches(held)


def _check_unique(keys: pa.Array, name: str) -> None:
    if keys.null_count:
        raise InputError(f"{keys.null_count} rows have no {name}; give every row its own")
    if pc.count_distinct(keys).as_py() == len(keys):
        return
    twice = next(e["values"] for e in pc.value_counts(keys).to_pylist() if e["counts"] > 1)
    raise InputError(f"{name} {twice!r} comes twice; upsert each row once")


def _numpy(values: pa.Array) -> NDArray[np.generic]:
    array: NDArray[np.generic] = values.to_numpy(zero_copy_only=False)
    return array
