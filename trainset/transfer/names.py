"""Lists of files that a person or another tool made: one name a file, by line or by column.

A name is a key of the dataset (``<source name>/<path>``) or a source uri, as reports and ``trainset
dead-letters`` show them. So ``transfer.csv`` and ``transfer.parquet`` of a run are such lists, too.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from trainset.errors import InputError, NotFound

COLUMNS = ("key", "source_uri", "uri", "path")  # the first of these that there is


def read_names(path: Path) -> Iterator[tuple[str, str]]:
    """(name, where it stands) in order; constant memory. Empty lines are passed over.

    Args:
        path: ``.parquet``, ``.csv`` or ``.tsv`` with a header; anything else: a name a line, UTF-8.
    Raises:
        NotFound: no such file.
        InputError: it cannot be read, or has no column of names.
    """
    try:
        if path.suffix.lower() == ".parquet":
            yield from _parquet(path)
            return
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            if path.suffix.lower() in (".csv", ".tsv"):
                yield from _csv(path, lines)
            else:
                for number, line in enumerate(lines, 1):
                    if name := line.rstrip("\r\n"):
                        yield name, f"line {number:,}"
    except FileNotFoundError as err:
        raise NotFound(f"{path}: there is no such list of files; check the path") from err
    except (OSError, pa.ArrowException, csv.Error) as err:
        raise InputError(f"{path}: {err}; give a list of files as text, CSV or Parquet") from err


def _parquet(path: Path) -> Iterator[tuple[str, str]]:
    with pq.ParquetFile(path) as file:
        column = _column(path, file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(columns=[column]):
            for name in batch.column(0).to_pylist():
                number += 1
                if name:
                    yield str(name), f"row {number:,}"


def _csv(path: Path, lines: TextIO) -> Iterator[tuple[str, str]]:
    rows = csv.reader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    header = next(rows, [])
    at = header.index(_column(path, header))
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            raise InputError(
                f"{path}, line {rows.line_num:,}: {len(row)} fields where the header has "
                f"{len(header)} ({row[0]}); mend the line, or give the Parquet file beside it"
            )
        if row[at]:
            yield row[at], f"line {rows.line_num:,}"


def _column(path: Path, names: Sequence[str]) -> str:
    for column in COLUMNS:
        if column in names:
            return column
    raise InputError(
        f"{path} has no column of names ({', '.join(COLUMNS)}), but {', '.join(names) or 'none'}; "
        "name the column with the files `key`"
    )
