"""Reading a list of URLs: a text file, or the ``url`` column of a CSV, JSON-lines or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from trainset.errors import InputError
from trainset.stores.local_errors import translated

# (number from 1: the line, in Parquet the row; what stands there, "" for nothing)
Row = tuple[int, str]
_MAX_LINE = 2**20  # characters; a longer "line" is no list of URLs, and would fill the memory


def read_urls(path: Path, name: str) -> Iterator[Row]:
    """The rows of a list in constant memory, in order; empty lines and ``#`` comments left out.

    Args:
        path: a local file.
        name: of the list, as the user knows it; its ending says the format.
    Raises:
        NotFound, AccessDenied: the list cannot be opened.
        InputError: it is not of its format, or has no column of URLs.
    """
    reader = _READERS[ending(name)]
    with translated(name), open(path, "rb") as source:
        yield from reader(source, name)


def ending(name: str) -> str | None:
    """``.txt``, ``.csv`` … when a list of URLs may have this name; else None."""
    found = Path(name).suffix.lower()
    return found if found in _READERS else None


def _text_lines(source: BinaryIO, name: str) -> Iterator[str]:
    number = 0
    while line := source.readline(_MAX_LINE):
        number += 1
        if len(line) == _MAX_LINE:
            raise InputError(f"{name}: line {number} is no URL, but very long; is it a list?")
        # Bytes that are not UTF-8 stay visible, and are refused as a URL of their line.
        yield line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")


def _read_text(source: BinaryIO, name: str) -> Iterator[Row]:
    for number, line in enumerate(_text_lines(source, name), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, text


def _read_csv(source: BinaryIO, name: str, delimiter: str = ",") -> Iterator[Row]:
    rows = csv.reader(_text_lines(source, name), delimiter=delimiter)
    try:
        at = _column(next(rows, []), name)
        for row in rows:
            if row:
                yield rows.line_num, row[at].strip() if at < len(row) else ""
    except csv.Error as err:
        raise InputError(f"{name}: line {rows.line_num}: {err}; mend the line") from err


def _read_tsv(source: BinaryIO, name: str) -> Iterator[Row]:
    return _read_csv(source, name, "\t")


def _read_jsonl(source: BinaryIO, name: str) -> Iterator[Row]:
    column: str | None = None
    for number, line in enumerate(_text_lines(source, name), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as err:
            raise InputError(f"{name}: line {number} is no JSON ({err}); mend the line") from err
        if isinstance(row, str):
            yield number, row
            continue
        if not isinstance(row, dict):
            raise InputError(f"{name}: line {number} is no JSON object; mend the line")
        if column is None:
            column = list(row)[_column(list(row), name)]
        yield number, str(row.get(column) or "")


def _read_parquet(source: BinaryIO, name: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(source)
        names = file.schema_arrow.names
        column = names[_column(names, name)]
        number = 0
        for batch in file.iter_batches(batch_size=10_000, columns=[column]):
            for value in batch.column(0).to_pylist():
                number += 1
                yield number, str(value or "").strip()
    except pa.ArrowInvalid as err:
        raise InputError(f"{name} is no Parquet file ({err}); write it again") from err


def _column(names: Sequence[str], list_name: str) -> int:
    """Where the column of URLs is: ``url``, or the only one that is named like it."""
    low = [name.strip().lower() for name in names]
    if "url" in low:
        return low.index("url")
    like = [n for n, name in enumerate(low) if name.endswith(("url", "uri", "link", "href"))]
    if len(like) == 1:
        return like[0]
    found = ", ".join(repr(name) for name in names[:20]) or "none"
    raise InputError(f"{list_name} has no column 'url' (found: {found}); name one so")


_READERS: dict[str | None, Callable[[BinaryIO, str], Iterator[Row]]] = {
    ".txt": _read_text,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": _read_parquet,
}
