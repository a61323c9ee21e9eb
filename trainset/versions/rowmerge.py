"""Three-way merge of rows: what must change in ours (main) to take in theirs (a run, a branch).

Pure. Rows are matched by ``row_id`` and compared by fingerprint (``row_fp``; computed cells by
source, function and error). Rules:

- A row that only one side added, changed or removed is taken from that side.
- Both changed it: by column. The same column with different values is a conflict, and so is a row
  that one side removed and the other changed.
- Computed cells never conflict: they can be computed again. They follow the content that they
  were computed from; of two results for the same content, a value goes before an error, and else
  ours before theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainset.errors import ConflictError
from trainset.model import Frozen
from trainset.versions.rowstate import Mask, Side, align

OURS, THEIRS, EMPTY = 0, 1, 2  # where a merged row's computed cells come from
_SHOWN = 5
_NEITHER = -2  # no code: fits no side

Prefer = Literal["ours", "theirs"]


class RowConflict(Frozen):
    """One thing that both sides changed differently; values as text, None where absent or null.

    ``ours_run`` and ``theirs_run`` are the runs that changed it, where they are known.
    """

    table: str
    row_id: str
    key: str
    column: str | None  # None: one side removed the row, the other changed it
    base: str | None = None
    ours: str | None = None
    theirs: str | None = None
    ours_run: str | None = None
    theirs_run: str | None = None

    @property
    def said(self) -> str:
        """What clashes: ``media 'a.png' x: '4' here (run 7), '3' there (run 8)``."""
        here, there = (f" (run {r})" if r else "" for r in (self.ours_run, self.theirs_run))
        return (
            f"{self.table} {self.key!r} {self.column or 'row'}: {self.ours!r} here{here}, "
            f"{self.theirs!r} there{there}"
        )


class RowConflicts(ConflictError):
    """Rows that a merge cannot decide; nothing was merged."""

    kind = "row-conflict"

    def __init__(self, conflicts: Sequence[RowConflict]) -> None:
        self.conflicts = tuple(conflicts)
        shown = "; ".join(c.said for c in self.conflicts[:_SHOWN])
        more = len(self.conflicts) - _SHOWN
        super().__init__(
            f"{len(self.conflicts)} rows or cells were changed differently on both sides: {shown}"
            f"{f' … and {more} more' if more > 0 else ''}; make both sides agree on them (change "
            "one side's source, or roll one back) and merge again, or run again with --prefer ours "
            "(main's values) or --prefer theirs (the run's)"
        )


@dataclass
class MergePlan:
    """What to do to ours; masks and arrays are over ``ids`` (N).

    Attributes:
        insert: rows to add from theirs.
        delete: rows to remove.
        take: rows whose user columns become theirs.
        both: rows whose user columns both sides changed, to be merged by column.
        torn: rows that one side removed and the other changed: conflicts. Where a side is
            preferred they are among ``insert`` or ``delete`` as well, if that changes ours.
        cells: per computed column, OURS, THEIRS or EMPTY for rows of ``take`` and ``both``; for all
            other rows THEIRS means that only this cell changes.
    """

    ids: pa.Array
    insert: Mask
    delete: Mask
    take: Mask
    both: Mask
    torn: Mask
    cells: dict[str, NDArray[np.int8]] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether ours needs any change at all."""
        masks = (self.insert, self.delete, self.take, self.both, self.torn)
        return any(m.any() for m in masks) or any(self.fills(c).any() for c in self.cells)

    def fills(self, column: str) -> Mask:
        """Rows whose computed cell is taken from theirs by filling it, not with the whole row.

        Rows that both sides changed are among them: merged, one may be as ours was, and an upsert
        would pass it over.
        """
        filled: Mask = (self.cells[column] == THEIRS) & ~(self.take | self.insert)
        return filled

    def pick(self, mask: Mask) -> pa.Array:
        """The row ids of a mask."""
        return self.ids.filter(pa.array(mask))


def plan_merge(
    base: pa.Table, ours: pa.Table, theirs: pa.Table, *, prefer: Prefer | None = None
) -> MergePlan:
    """Compare three slim views (``rowstate.slim``) row by row; memory and time grow with rows."""
    ids, (b, o, t) = align([base, ours, theirs])
    we_changed, they_changed = _changed(b, o), _changed(b, t)
    stay = o.present & t.present
    take = stay & they_changed & ~we_changed
    both = stay & they_changed & we_changed & (o.row != t.row)
    gone_there = b.present & o.present & ~t.present
    torn_here = b.present & ~o.present & they_changed
    torn_there = gone_there & we_changed
    forced = prefer == "theirs"
    plan = MergePlan(
        ids=ids,
        insert=(~b.present & ~o.present & t.present) | (torn_here & forced),
        delete=(gone_there & ~we_changed) | (torn_there & forced),
        take=take,
        both=both,
        torn=torn_here | torn_there,
    )
    content = np.where(take, t.content, o.content)
    # Of a row merged by column: its sha256 is one side's; its fingerprint would be neither's.
    if o.content is o.row:
        content = np.where(both, _NEITHER, content)
    else:
        they_did = (t.content != b.content) | ~b.present
        content = np.where(
            both & ((o.content == b.content) | (they_did & forced)), t.content, content
        )
    for column in o.cells:
        plan.cells[column] = _choose_cells(column, b, o, t, stay, content)
    return plan


def _changed(base: Side, side: Side) -> Mask:
    changed: Mask = side.present & (~base.present | (side.row != base.row))
    return changed


def _choose_cells(
    column: str, b: Side, o: Side, t: Side, stay: Mask, content: NDArray[np.int64]
) -> NDArray[np.int8]:
    fits_ours, fits_theirs = o.content == content, t.content == content
    only_they = ~t.same_cells(b, column) & o.same_cells(b, column)
    # A row that both added has no base: then the better result counts, too.
    both_did = ~t.same_cells(b, column) & ~o.same_cells(b, column)
    better = both_did & (t.rank(column) > o.rank(column))
    prefer_theirs = fits_theirs & (~fits_ours | only_they | better)
    choice = np.where(prefer_theirs, THEIRS, np.where(fits_ours, OURS, EMPTY))
    differs = ~t.same_cells(o, column) | (choice == EMPTY)
    choice = np.where(stay & differs, choice, OURS)
    return choice.astype(np.int8)


def merge_columns(
    table: str,
    base: Sequence[Mapping[str, Any] | None],
    ours: Sequence[Mapping[str, Any]],
    theirs: Sequence[Mapping[str, Any]],
    *,
    columns: Sequence[str],
    bookkeeping: Sequence[str] = (),
    fingerprint: Callable[[Mapping[str, Any]], int],
    prefer: Prefer | None = None,
) -> tuple[list[dict[str, Any]], list[RowConflict]]:
    """Merge rows that both sides changed, column by column.

    Args:
        base, ours, theirs: the same rows in the same order; base is None where both added the row.
        columns: the user columns, without ``row_id`` and ``row_fp``.
        bookkeeping: columns outside the fingerprint; they never conflict, theirs is taken.
        fingerprint: computes ``row_fp`` of a merged row.
        prefer: whose value a merged row gets where both differ; None: ours.
    """
    merged, conflicts = [], []
    for old, mine, new in zip(base, ours, theirs, strict=True):
        row: dict[str, Any] = {"row_id": mine["row_id"]}
        for name in columns:
            was = old.get(name) if old is not None else None
            here, there = mine.get(name), new.get(name)
            if here == there or (there == was and old is not None):
                row[name] = here
            elif (here == was and old is not None) or name in bookkeeping:
                row[name] = there
            else:
                row[name] = there if prefer == "theirs" else here
                conflicts.append(
                    RowConflict(
                        table=table,
                        row_id=mine["row_id"],
                        key=key_of(mine),
                        column=name,
                        base=_text(was),
                        ours=_text(here),
                        theirs=_text(there),
                    )
                )
        row["row_fp"] = fingerprint(row)
        merged.append(row)
    return merged, conflicts


def key_of(row: Mapping[str, Any]) -> str:
    """What a person calls the row: its key, else its record's name, else its id."""
    if row.get("key"):
        return str(row["key"])
    parts = [row.get(name) for name in ("source", "stream", "record_id")]
    return "/".join(map(str, parts)) if all(parts) else str(row["row_id"])


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
