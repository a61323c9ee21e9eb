"""Hugging Face folders: ``metadata.csv``, ``.jsonl`` or ``.parquet`` beside the media.

``file_name`` names the medium of a row, relative to the metadata file; further columns that end in
``_file_name`` name more media of the same row, ``…file_names`` a list of them. Each of these gives
the row's labels once: a pair of images with one caption is two records. What the other columns mean
is found as for any table (``shapes``); ``objects`` may be a dict of lists.

Source: https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.records import Record
from trainset.metadata.shapes import read_table
from trainset.metadata.tabular import TableFormat, decode, read_plain

PARQUET = b"PAR1"


def read_hf_folder(data: bytes, *, stream: str, place: str) -> Iterator[Record | Rejected]:
    """Records of one metadata file.

    Args:
        data: the whole file; which of the three kinds it is, is told by its content.
        stream: name for the rejected.
        place: the file, for messages.
    Raises:
        InputError: the file cannot be read, or no column names a file.
    """
    format_: TableFormat = "csv"
    if data.startswith(PARQUET):
        data, format_ = _lines_of(data, place), "jsonl"
    elif decode(data[:4096]).lstrip().startswith("{"):
        format_ = "jsonl"
    columns = _file_columns(data, format_, stream=stream, place=place)
    if columns == ["file_name"]:
        yield from read_table(data, format_, stream=stream, place=place, media_column="file_name")
        return
    first = True
    for column in columns:
        body, faults = _about(data, format_, column, columns, stream=stream, place=place)
        if first:
            yield from faults  # once: they are the same for each column
            first = False
        for item in read_table(body, "jsonl", stream=stream, place=place, media_column=column):
            if not isinstance(item, Rejected):
                item["record_id"] = f"{item['record_id']}@{column}"
            yield item


def is_file_column(name: str) -> bool:
    """Whether a column names files of the folder."""
    return name in ("file_name", "file_names") or name.endswith(("_file_name", "_file_names"))


def _file_columns(data: bytes, format_: TableFormat, *, stream: str, place: str) -> list[str]:
    found: dict[str, None] = {}
    some = False
    for item in read_plain(data, format_, stream=stream, place=place):
        if not isinstance(item, Rejected):
            some = True
            found |= dict.fromkeys(filter(is_file_column, item[1]))
            if format_ == "csv":
                break
    if found or not some:
        return list(found) or ["file_name"]
    raise InputError(
        f"{place}: no column is called file_name (or ends in _file_name), which Hugging Face "
        "folders need; rename the column, or say format: csv, jsonl and media_column"
    )


def _about(
    data: bytes, format_: TableFormat, column: str, columns: list[str], *, stream: str, place: str
) -> tuple[bytes, list[Rejected]]:
    """The rows as they are about the media of one column, as JSON Lines; and those unreadable.

    A row with an empty cell there is about no medium of that column and is left to the others;
    one that names no file at all stays, to be rejected, under the first.
    """
    lines: list[str] = []
    faults: list[Rejected] = []
    for item in read_plain(data, format_, stream=stream, place=place):
        if isinstance(item, Rejected):
            faults.append(item)
            continue
        fields = item[1]
        value = fields.get(column)
        named = any(fields.get(other) for other in columns)
        if not value and (named or column != columns[0]):
            continue
        for one in value if isinstance(value, list) else [value]:
            lines.append(json.dumps({**fields, column: one}))
    return "\n".join(lines).encode(), faults


def _lines_of(data: bytes, place: str) -> bytes:
    """A Parquet file as JSON Lines; times as ISO 8601, bytes as hex."""
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as err:
        raise InputError(f"{place}: broken Parquet ({err}); write the file again") from err
    rows: list[str] = []
    for batch in table.to_batches(max_chunksize=10_000):
        rows += (json.dumps(row, default=_plain) for row in batch.to_pylist())
    return "\n".join(rows).encode()


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
