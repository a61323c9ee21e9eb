"""Table files as plain records, in any of the formats, with bad ones set aside."""

from __future__ import annotations

from collections.abc import Iterator

from trainset.metadata.base import Rejected
from trainset.metadata.formats.chunks import (
    Chunk,
    Data,
    Plain,
    TableFormat,
    in_chunks,
)
from trainset.metadata.formats.csv_rows import find_delimiter, read_csv
from trainset.metadata.formats.json_rows import RECORD_LISTS, read_json, read_jsonl
from trainset.metadata.formats.parquet_rows import read_parquet
from trainset.metadata.formats.text import decode

__all__ = [
    "RECORD_LISTS",
    "TABLES",
    "Plain",
    "TableFormat",
    "decode",
    "find_delimiter",
    "read_chunks",
    "read_plain",
]

TABLES: dict[str, TableFormat] = {
    "csv": "csv",
    "jsonl": "jsonl",
    "json": "json",
    "parquet": "parquet",
    "xlsx": "xlsx",
}


def read_chunks(
    data: Data, format_: TableFormat, *, stream: str, place: str, sheet: str | None = None
) -> Iterator[Chunk]:
    """The records of one file, some at a time; all but JSON arrays in bounded memory.

    Args:
        data: the whole file, or where it lies.
        stream: name for the rejected.
        place: the file, for messages.
        sheet: of a workbook; None: the first.
    Raises:
        InputError: the file as a whole cannot be read.
    """
    if format_ == "csv":
        return read_csv(data, stream=stream, place=place)
    if format_ == "parquet":
        return read_parquet(data, stream=stream, place=place)
    if format_ == "jsonl":
        return in_chunks(read_jsonl(data, stream=stream, place=place))
    if format_ == "json":
        return in_chunks(read_json(data, stream=stream, place=place))
    from trainset.metadata.formats.excel_rows import read_xlsx  # late: openpyxl is an extra

    return in_chunks(read_xlsx(data, stream=stream, place=place, sheet=sheet))


def read_plain(
    data: Data, format_: TableFormat, *, stream: str, place: str, sheet: str | None = None
) -> Iterator[Plain | Rejected]:
    """As ``read_chunks``, one by one as (where it stands, its fields)."""
    for chunk in read_chunks(data, format_, stream=stream, place=place, sheet=sheet):
        yield from chunk.rejected
        for i, fields in enumerate(chunk.fields()):
            yield chunk.where(i), fields
