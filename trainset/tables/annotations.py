"""Tables that a run makes anew: made equal to what they must hold, with few writes."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from trainset.model import Frozen
from trainset.tables.base import Table

_CHUNK = 20_000  # ids in one delete; the engine parses them as SQL


class ReplaceCounts(Frozen):
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0

    @property
    def changed(self) -> int:
        """Rows that differ from before in any way."""
        return self.inserted + self.updated + self.deleted


def replace_rows(table: Table, rows: pa.Table) -> ReplaceCounts:
    """Make ``table`` hold exactly ``rows`` (by ``row_id``); equal rows stay untouched.

    Safe to repeat after a crash: new and changed rows are written before vanished ones go.

    Args:
        rows: in the table's schema, finished (``row_id``, ``row_fp``).
    Raises:
        InputError: a ``row_id`` comes twice, or the rows do not fit the schema.
    """
    counts = table.upsert(rows)
    stored = table.scan(["row_id"]).read_all()["row_id"].combine_chunks()
    wanted = rows["row_id"].combine_chunks().cast(stored.type)
    vanished = stored.filter(pc.invert(pc.is_in(stored, value_set=wanted))).to_pylist()
    deleted = 0
    for start in range(0, len(vanished), _CHUNK):
        ids = ", ".join(
            "'" + id_.replace("'", "''") + "'" for id_ in vanished[start : start + _CHUNK]
        )
        deleted += table.delete(f"row_id in ({ids})")
    return ReplaceCounts(**counts.model_dump(), deleted=deleted)
