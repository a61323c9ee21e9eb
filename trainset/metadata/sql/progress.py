"""What a sync's state holds, and what is read next because of it. Pure.

A state is JSON. It holds no value of a row but the cursor's greatest and the key where a first read
stopped, and nothing of the connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from pydantic import ValidationError

from trainset.errors import InputError
from trainset.metadata.base import State
from trainset.metadata.sql.base import SqlTable
from trainset.model import Frozen


class Progress(Frozen):
    """How far a stream has been read.

    Attributes:
        mark: signs of the snapshot that what was read goes up to. While a first read is under way:
            of the snapshot in which it began, because rows change behind it from then on.
        columns: name -> the database's number of the column.
        at: where a first read stopped; None when it is done.
        cursor, last: the cursor's column and its greatest value, as text.
        seen: hashes of rows that the next sync reads again and drops.
    """

    version: int = 1
    mark: dict[str, Any]
    columns: dict[str, int]
    at: dict[str, Any] | None = None
    cursor: str | None = None
    last: str | None = None
    seen: tuple[str, ...] = ()

    @staticmethod
    def of_state(state: State) -> Progress | None:
        """None for {}: nothing was read yet."""
        if not state:
            return None
        try:
            return Progress.model_validate(dict(state))
        except ValidationError as err:
            raise InputError(
                "the state of this stream was not written by the SQL reader; use another name for "
                "the source, or sync it again from the beginning"
            ) from err

    def to_state(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_defaults=True) | {"version": self.version}


class Way(Enum):
    """How the rows of one sync are found."""

    NOTHING = "nothing changed"
    WRITTEN = "rows written since the last snapshot"
    CURSOR = "rows whose cursor is not behind"
    ALL = "every row"


def choose_way(
    past: Progress | None,
    table: SqlTable,
    *,
    cursor: str | None,
    full: bool,
    unchanged: bool,
    written_since: bool,
) -> Way:
    """The cheapest way that loses nothing.

    Args:
        full: the caller wants every row.
        unchanged: it is proven that no row changed.
        written_since: the database can name the rows that were written since.
    """
    if past is None or past.at is not None or full or needs_backfill(past.columns, table):
        return Way.ALL
    if unchanged:
        return Way.NOTHING
    if written_since:
        return Way.WRITTEN
    if cursor is not None and cursor == past.cursor and past.last is not None:
        return Way.CURSOR
    return Way.ALL


def needs_backfill(known: Mapping[str, int], table: SqlTable) -> bool:
    """True when a column of now has values in rows that nobody wrote since.

    That is: a renamed column (its number is not newer than those known), and one that was added
    with a default. One that was added without has null in all old rows: nothing to read.
    """
    newest = max(known.values(), default=-1)
    return any(
        c.backfilled or c.number <= newest for c in table.columns if known.get(c.name) != c.number
    )


def numbers(table: SqlTable) -> dict[str, int]:
    return {c.name: c.number for c in table.columns}
