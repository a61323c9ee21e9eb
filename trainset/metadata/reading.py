"""Reading the records of one label file that lies at hand, in whatever format it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from trainset.metadata.base import Rejected
from trainset.metadata.formats.parquet_rows import open_parquet
from trainset.metadata.formats.table_file import TableFile
from trainset.metadata.labels.registry import FORMATS, Beside
from trainset.metadata.labels.signs import sign_of_columns
from trainset.metadata.recognise import unknown
from trainset.metadata.records import Record, to_table
from trainset.metadata.table_records import Part, read_table_file
from trainset.metadata.tabular import TABLES
from trainset.model import Frozen

BATCH_ROWS = 10_000


class TableOptions(Frozen):
    """What the user says of a table: the column that names the medium; the sheet of a workbook."""

    media_column: str | None = None
    sheet: str | None = None


def format_inside(path: Path, found: str | None) -> str | None:
    """The format by what only the whole file says: Parquet keeps its columns at its end."""
    if found != "parquet":
        return found
    try:
        with open_parquet(path) as file:
            return sign_of_columns(file.schema_arrow.names) or found
    except (pa.ArrowException, OSError):
        return found  # broken, as its reader will say


def read_file(
    path: Path,
    found: str | None,
    *,
    source: str,
    stream: str,
    place: str,
    options: TableOptions,
    beside: Beside = (),
) -> Iterator[Part]:
    """The records of a file, at least ``BATCH_ROWS`` together while there are so many.

    Args:
        path: where the file lies, without compression.
        found: its format.
        source, stream: go into the records.
        place: the file, for messages.
        beside: companion files, the nearest first.
    Raises:
        InputError: the file as a whole cannot be used; names it, the reason and the next step.
    """
    if (known := FORMATS.get(found or "")) is not None:
        items = known.read(path.read_bytes(), stream=stream, place=place, beside=beside)
        yield from in_parts(items, source=source, stream=stream)
    elif (format_ := TABLES.get(found or "")) is not None:
        table = TableFile(path, format_, stream=stream, place=place, sheet=options.sheet)
        column = options.media_column
        yield from _together(read_table_file(table, source=source, media_column=column))
    else:
        raise unknown(place, found)


def in_parts(items: Iterator[Record | Rejected], *, source: str, stream: str) -> Iterator[Part]:
    """Records that come one by one as Arrow, ``BATCH_ROWS`` together."""
    while some := list(islice(items, BATCH_ROWS)):
        rows = [item for item in some if not isinstance(item, Rejected)]
        faults = [item for item in some if isinstance(item, Rejected)]
        yield Part(to_table(rows, source=source, stream=stream), faults)


def _together(parts: Iterator[Part]) -> Iterator[Part]:
    waiting: list[Part] = []
    for part in parts:
        waiting.append(part)
        if sum(p.records.num_rows + len(p.rejected) for p in waiting) >= BATCH_ROWS:
            yield _one(waiting)
            waiting = []
    if waiting:
        yield _one(waiting)


def _one(parts: Sequence[Part]) -> Part:
    rejected = [item for part in parts for item in part.rejected]
    return Part(pa.concat_tables([part.records for part in parts]), rejected)
