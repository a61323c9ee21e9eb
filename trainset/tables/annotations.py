"""The ``annotations`` table: made equal to what the sync gives, with as few writes as possible."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from trainset.model import Frozen
from trainset.tables.base import Table

_CHUNK = 20_000  # ids in one delete; the engine parses them as SQL


class AnnotationCounts(Frozen):
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0

    @property
    def changed(self) -> int:
        """Rows that differ from before in any way."""
        return self.inserted + self.updated + self.deleted


def replace_annotations(table: Table, rows: pa.Table) -> AnnotationCounts:
    """Make ``table`` hold exactly ``rows`` (all sources, by ``row_id``); equal rows stay untouched.

    Safe to repeat after a crash: new and changed rows are written before vanished ones go.

    Args:
        rows: in the ``annotations`` schema, finished (``row_id``, ``row_fp``).
    Raises:
        InputError: a ``row_id`` comes twice, or the rows do not fit the schema.
    """
    counts = table.upsert(rows)
    stored = table.scan(["row_id"]).read_all()["row_id"].combine_chunks()
    wanted = rows["row_id"].combine_chunks().cast(stored.type)
    vanished = stored.filter(pc.invert(pc.is_in(stored, value_set=wanted))).to_pylist()
    deleted = 0
    for start in range(0, len(vanished), _CHUNK):
        ids = ", ".join(f"'{id_}'" for id_ in vanished[start : start + _CHUNK])
        deleted += table.delete(f"row_id in ({ids})")
    return AnnotationCounts(**counts.model_dump(), deleted=deleted)
