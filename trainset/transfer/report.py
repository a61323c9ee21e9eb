"""The report of one transfer: a row a file, as Parquet, and what is worth saying of them all.

``transfer.parquet`` has every file that the run looked at; what the dataset had already and was
not listed anew is counted, not written. ``transfer.csv`` has what did not arrive, for people.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainset.stores.base import ObjectStore
from trainset.transfer.base import Outcome
from trainset.transfer.report_facts import FactsOf, TransferFacts

PARQUET, CSV = "transfer.parquet", "transfer.csv"
CSV_ROWS = 10_000
_GROUP_ROWS = 20_000

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),  # bytes, as listed
        pa.field("status", pa.string(), nullable=False),  # as Outcome.status
        pa.field("kind", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("route", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("uri", pa.string()),
        pa.field("version_id", pa.string()),
        pa.field("etag", pa.string()),
        pa.field("verified", pa.string()),  # level: L0 … L4
        pa.field("attempts", pa.int64(), nullable=False),
        pa.field("moved_bytes", pa.int64(), nullable=False),
        pa.field("duration_ms", pa.int64(), nullable=False),
        pa.field("at", pa.timestamp("us", tz="UTC")),
    ]
)
_CSV_COLUMNS = ("key", "source_uri", "size", "status", "kind", "reason", "attempts", "at")


def write_transfer_report(
    outcomes: Iterable[Outcome], folder: Path, *, csv_rows: int = CSV_ROWS
) -> TransferFacts:
    """Write ``transfer.parquet`` and, if something did not arrive, ``transfer.csv``.

    Memory does not grow with the number of outcomes.

    Args:
        folder: local, existing.
        csv_rows: at most so many rows; a last line counts the rest.
    """
    seen = FactsOf()
    with (
        pq.ParquetWriter(folder / PARQUET, SCHEMA, compression="zstd") as parquet,
        _LeftOutCsv(folder / CSV, csv_rows) as left_out,
    ):
        for group in _groups(outcomes):
            rows = [_row(outcome) for outcome in group]
            parquet.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
            for outcome, row in zip(group, rows, strict=True):
                seen.add(outcome)
                if outcome.status in ("deferred", "failed"):
                    left_out.add(row)
    return seen.facts()


def put_transfer_report(store: ObjectStore, folder: Path, run_id: str) -> None:
    """Bring a written report to ``runs/<run_id>/`` of the home."""
    for name in (CSV, PARQUET):
        if (folder / name).exists():
            store.put_file(f"runs/{run_id}/{name}", folder / name)


class _LeftOutCsv:
    """The CSV file; it is not made while nothing is left out."""

    def __init__(self, path: Path, rows: int) -> None:
        self._path, self._most, self._rows = path, rows, 0
        self._path.unlink(missing_ok=True)  # of an earlier try

    def __enter__(self) -> _LeftOutCsv:
        return self

    def __exit__(self, *_: object) -> None:
        if self._rows > self._most:
            self._write([f"… and {self._rows - self._most} more files, in {PARQUET}"])
        if self._rows:
            self._file.close()

    def add(self, row: dict[str, Any]) -> None:
        if self._rows == 0:
            self._file = self._path.open("w", encoding="utf-8", newline="")
            self._write(_CSV_COLUMNS)
        self._rows += 1
        if self._rows <= self._most:
            at = row["at"]
            plain = {**row, "at": None if at is None else at.isoformat()}
            self._write([plain[name] for name in _CSV_COLUMNS])

    def _write(self, cells: Iterable[Any]) -> None:
        csv.writer(self._file, lineterminator="\n").writerow(cells)


def _groups(outcomes: Iterable[Outcome]) -> Iterator[list[Outcome]]:
    rest = iter(outcomes)
    while group := list(islice(rest, _GROUP_ROWS)):
        yield group


def _row(o: Outcome) -> dict[str, Any]:
    return {
        "key": o.file.key,
        "source_uri": o.file.uri,
        "size": o.file.size,
        **{name: getattr(o, name) for name in SCHEMA.names[3:]},
    }
