"""``Chunk``: some records of a table file in the file's order, as dicts or as Arrow columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

from trainset.metadata.base import Rejected

TableFormat = Literal["csv", "jsonl", "json", "parquet", "xlsx"]
Data = bytes | Path  # a whole file, or where it lies
Fields = dict[str, Any]
Plain = tuple[str, Fields]  # where the record stands, and its fields

CHUNK_ROWS = 10_000


class Chunk(Protocol):
    """Records that were read together; ``rejected`` stood among them."""

    rejected: Sequence[Rejected]

    def __len__(self) -> int: ...

    def where(self, i: int) -> str:
        """Where record ``i`` of this chunk stands in the file."""
        ...

    def fields(self) -> Sequence[Fields]:
        """The records, each field as JSON has it."""
        ...

    def columns(self) -> pa.Table | None:
        """The same as columns of strings, whole numbers, doubles, truth values or nulls; None when
        they are not all of such a type, or hold bytes that are no text."""
        ...


class Rows:
    """A chunk of records that were read one by one."""

    def __init__(
        self, places: Sequence[str], records: Sequence[Fields], rejected: Sequence[Rejected] = ()
    ) -> None:
        self._places, self._records, self.rejected = places, records, rejected

    def __len__(self) -> int:
        return len(self._records)

    def where(self, i: int) -> str:
        return self._places[i]

    def fields(self) -> Sequence[Fields]:
        return self._records

    def columns(self) -> pa.Table | None:
        return None


def in_chunks(items: Iterable[Plain | Rejected]) -> Iterator[Rows]:
    """Records that come one by one, and what was rejected, as chunks."""
    items = iter(items)
    while some := list(islice(items, CHUNK_ROWS)):
        good = [item for item in some if not isinstance(item, Rejected)]
        yield Rows(
            [where for where, _ in good],
            [fields for _, fields in good],
            [item for item in some if isinstance(item, Rejected)],
        )


def plain_number(value: float) -> float | str:
    """A number as JSON can say it: NaN and infinities become the words that JSON readers know."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value
