"""How many media of the base commit hold other bytes now, as the gate counts them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

from trainset.tables.base import Table
from trainset.versions.diff import diff_tables
from trainset.versions.rowapply import rows_of

_SEEN = ("size", "source_version")  # what a source tells of a file without its bytes


class MediaChanges(NamedTuple):
    """Rows of the base whose sha256 is known, with another now, and those of them in silence."""

    before: int = 0
    changed: int = 0
    silently: int = 0


def count_media_changes(before: Table | None, after: Table | None) -> MediaChanges:
    """Compare rows of ``media`` by key; a sha256 that was not known before is no change."""
    if before is None or after is None:
        return MediaChanges()
    known = before.count("sha256 IS NOT NULL")
    ids = diff_tables(before, after).changed
    if not len(ids):
        return MediaChanges(known)
    columns = ["row_id", "sha256", *_SEEN]
    old, new = rows_of(before, ids, columns), rows_of(after, ids, columns)
    changed = np.asarray(pc.not_equal(old["sha256"], new["sha256"]).fill_null(False)).astype(bool)
    silently = changed.copy()
    for name in _SEEN:
        silently &= np.asarray(pc.equal(old[name], new[name]).fill_null(False)).astype(bool)
    return MediaChanges(known, int(changed.sum()), int(silently.sum()))
