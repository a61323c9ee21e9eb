"""The rows behind a diff, one by one: which columns changed, with both values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal, get_args

import pyarrow as pa

from trainset.tables.base import Table
from trainset.tables.schema import FINGERPRINTS
from trainset.versions.diff import RowDiff
from trainset.versions.rowapply import rows_of
from trainset.versions.rowmerge import key_of
from trainset.versions.rowstate import cell_parts, own_columns

How = Literal["added", "removed", "changed", "recomputed"]
HOWS: tuple[How, ...] = get_args(How)
_NAMED = ("key", "source", "stream", "record_id")  # what people call a row by
_ROWS = 20_000  # read at once


@dataclass(frozen=True)
class RowChange:
    """One row that differs.

    Attributes:
        key: what people call the row.
        columns: of a changed row, per user column the value before and after; of one that was
            computed again, per computed column its value, or (``c__fn``, ``c__src``, ``c__err``)
            what else differs where the value is the same. A side without the column has None.
    """

    row_id: str
    key: str
    columns: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    how: How = "changed"


def row_changes(
    table: str,
    before: Table | None,
    after: Table | None,
    parts: Iterable[RowDiff],
    *,
    limit: int | None = None,
) -> Iterator[RowChange]:
    """The rows of the diff's parts: removed, added, changed, computed again; in bounded memory.

    Args:
        parts: of ``diff_parts`` over the same two tables.
        limit: at most so many rows of each of the four; no part is read once all are there.
    """
    left: dict[How, float] = dict.fromkeys(HOWS, inf if limit is None else limit)

    def due(part: RowDiff, how: How) -> Iterator[pa.Array]:
        ids: pa.Array = getattr(part, how)
        taken = ids.slice(0, int(min(left[how], len(ids))))
        left[how] -= len(taken)
        return (taken.slice(start, _ROWS) for start in range(0, len(taken), _ROWS))

    for part in parts:
        if before is not None:
            for ids in due(part, "removed"):
                yield from _named(before, ids, "removed")
        if after is not None:
            for ids in due(part, "added"):
                yield from _named(after, ids, "added")
        if before is not None and after is not None:
            for ids in due(part, "changed"):
                yield from changed_rows(table, before, after, ids)
            for ids in due(part, "recomputed"):
                yield from _recomputed(before, after, ids, list(part.cells))
        if not any(left.values()):
            return


def changed_rows(table: str, before: Table, after: Table, ids: pa.Array) -> Iterator[RowChange]:
    """Which user columns of rows that both have differ."""
    names = dict.fromkeys([*before.schema.names, *after.schema.names])
    prints = FINGERPRINTS.get(table, ())
    shown = [n for n in own_columns(list(names)) if not prints or n in prints]
    for was, now in _both(before, after, ids, shown):
        columns = {n: (was.get(n), now.get(n)) for n in shown if was.get(n) != now.get(n)}
        yield RowChange(now["row_id"], key_of(now), columns)


def _recomputed(
    before: Table, after: Table, ids: pa.Array, cells: list[str]
) -> Iterator[RowChange]:
    parts = [part for column in cells for part in cell_parts(column)]
    for was, now in _both(before, after, ids, parts):
        columns = {}
        for column in cells:
            differs = [p for p in cell_parts(column) if was.get(p) != now.get(p)]
            # The value says most; where it came out the same, what made it.
            for part in differs[:1] if column in differs else differs:
                columns[part] = (was.get(part), now.get(part))
        yield RowChange(now["row_id"], key_of(now), columns, "recomputed")


def _both(
    before: Table, after: Table, ids: pa.Array, columns: list[str]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    old, new = (rows_of(t, ids, _held(t, columns)).to_pylist() for t in (before, after))
    yield from zip(old, new, strict=True)


def _named(table: Table, ids: pa.Array, how: How) -> Iterator[RowChange]:
    for row in rows_of(table, ids, _held(table, [])).to_pylist():
        yield RowChange(row["row_id"], key_of(row), how=how)


def _held(table: Table, columns: list[str]) -> list[str]:
    """Those that the table has, with what names a row."""
    wanted = dict.fromkeys(["row_id", *_NAMED, *columns])
    return [name for name in wanted if name in table.schema.names]
