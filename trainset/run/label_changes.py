"""How many labels of the base commit a run changed, as the gate counts them."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from trainset.metadata.align.rematch import equal
from trainset.tables.base import Table
from trainset.versions.diff import diff_tables
from trainset.versions.rowapply import rows_of

# What a label says; where its medium lies and how it was matched is not its own doing.
_SAID = ["media_ref", "kind", "class", "text", "score", "attributes"]
_PLACED = ["bbox", "geometry"]  # fractions become pixels once the medium is known


def count_changed(before: Table, after: Table) -> int:
    """Labels that were removed, or that say something else now.

    One that found its medium only now, or lost it, says what it said: the gate counts it among
    labels without a medium, or not any more.
    """
    found = diff_tables(before, after)
    ids = found.changed
    if not len(ids):
        return len(found.removed)
    names = ["row_id", "media_id", *_SAID, *_PLACED]
    old, new = rows_of(before, ids, names), rows_of(after, ids, names)
    found_or_lost = np.asarray(pc.is_null(old["media_id"])) ^ np.asarray(
        pc.is_null(new["media_id"])
    )
    same = found_or_lost.astype(bool)
    for name in _SAID:
        same &= equal(old[name], new[name])
    unplaced = np.asarray(pc.is_null(old["bbox"])) | np.asarray(pc.is_null(new["bbox"]))
    for name in _PLACED:
        same &= equal(old[name], new[name]) | unplaced.astype(bool)
    return len(found.removed) + int((~same).sum())
