"""What becomes of stored rows and of rows that were read, by the mode of the sync."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from trainset.metadata.tables.lookup import Lookup
from trainset.metadata.tables.parts import LocalPart, keys_and_hashes, same_rows
from trainset.metadata.tables.upsert import Counts, Index, Mask, Upsert, newest, news
from trainset.metadata.tables.ways import Ways


class Comparison(NamedTuple):
    """``dead``: rows of each stored part that go; ``kept``: rows of the delta that are stored."""

    dead: list[Mask]
    kept: Mask
    counts: Counts

    @property
    def touched(self) -> bool:
        return bool(self.kept.any()) or any(mask.any() for mask in self.dead)

    def parts(
        self, stored: Sequence[LocalPart], read: Sequence[LocalPart], gone: Mask
    ) -> list[tuple[LocalPart, Mask]]:
        """Parts of before and of this sync, each with which of its rows are in the table now.

        Args:
            gone: rows of the delta that lie in no part.
        """
        in_parts = self.kept[~gone]
        bounds = np.cumsum([0, *(part.file.rows for part in read)])
        parts = [(part, ~mask) for part, mask in zip(stored, self.dead, strict=True)]
        parts += [(p, in_parts[bounds[i] : bounds[i + 1]]) for i, p in enumerate(read)]
        return [(part, mask) for part, mask in parts if mask.any()]


def compare(
    ways: Ways,
    stored: Sequence[tuple[Path, int]],
    schema: pa.Schema,
    index: Index,
    *,
    live: pa.Array | None,
    same_columns: bool,
) -> Comparison:
    """Decide, part by part.

    Args:
        stored: path and number of rows of each part of the base commit.
        schema: of the table from now on, with system columns.
        live: keys of all rows that the source has; None: rows are not looked for.
        same_columns: stored rows have the columns of ``schema``.
    """
    none = [np.zeros(rows, bool) for _, rows in stored]
    if ways.mode == "full-append":
        return Comparison(none, ~index.gone, Counts(added=int((~index.gone).sum())))
    if ways.mode == "incremental-append":
        last = _last_hashes(stored, schema, ways.key) if ways.key else {}
        kept = news(index, last) if ways.key else ~index.gone
        return Comparison(none, kept, Counts(added=int(kept.sum())))
    if ways.mode == "full-overwrite" or ways.anew:
        compared = not ways.anew and same_columns
        return _overwritten(stored, schema, index, none, live, compared=compared)
    found = [keys_and_hashes(path, schema, ways.key) for path, _ in stored]
    keys = [k for k, _ in found if k is not None]
    upsert = Upsert(index, live)
    if keys:  # all at once: a table of the delta's keys is made for each look
        dead = upsert.dead(pa.concat_arrays(keys), np.concatenate([h for _, h in found]))
        none = np.split(dead, np.cumsum([rows for _, rows in stored])[:-1])
    return Comparison(none, upsert.kept(), upsert.counts)


def _overwritten(
    stored: Sequence[tuple[Path, int]],
    schema: pa.Schema,
    index: Index,
    none: list[Mask],
    live: pa.Array | None,
    *,
    compared: bool,
) -> Comparison:
    kept = newest(index) & ~index.gone
    if live is not None:
        kept &= Lookup(live).find(index.key) >= 0
    if compared:
        old = [keys_and_hashes(path, schema, ())[1] for path, _ in stored]
        if same_rows(np.concatenate([np.empty(0, np.uint64), *old]), index.hashes[kept]):
            return Comparison(none, np.zeros(len(index), bool), Counts())
    now, before = int(kept.sum()), sum(rows for _, rows in stored)
    # Rows are not told apart here; that a table shrinks is seen all the same.
    vanished = max(0, before - now) if compared else 0
    return Comparison([~mask for mask in none], kept, Counts(added=now, vanished=vanished))


def _last_hashes(
    stored: Sequence[tuple[Path, int]], schema: pa.Schema, key: Sequence[str]
) -> dict[object, int]:
    """Key -> hash of its newest row in a history."""
    last: dict[object, int] = {}
    for path, _ in stored:
        keys, hashes = keys_and_hashes(path, schema, key)
        if keys is not None:
            last |= zip(keys.to_pylist(), hashes.tolist(), strict=True)
    return last
