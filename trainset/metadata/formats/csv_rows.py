"""CSV: cells as texts. Clean stretches are read as columns, the rest row by row."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.csv as pa_csv

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.formats.chunks import CHUNK_ROWS, Data, Fields
from trainset.metadata.formats.csv_lines import Lines
from trainset.metadata.records import BadRecord, rejected

DELIMITERS = ",\t;|"

csv.field_size_limit(2**30)  # the default of 128 KiB is less than a transcript or an embedding


def find_delimiter(header: str) -> str:
    """The delimiter that cuts the header line into most cells; a comma when none does."""
    return max(DELIMITERS, key=lambda d: len(next(csv.reader([header], delimiter=d), [])))


class CsvColumns:
    """Records of a clean stretch, one a line."""

    rejected: Sequence[Rejected] = ()

    def __init__(self, table: pa.Table, first_line: int) -> None:
        self._table, self._first = table, first_line

    def __len__(self) -> int:
        rows: int = self._table.num_rows
        return rows

    def where(self, i: int) -> str:
        return f"line {self._first + i}"

    def fields(self) -> Sequence[Fields]:
        rows: list[Fields] = self._table.to_pylist()
        return rows

    def columns(self) -> pa.Table | None:
        return self._table


class CsvCells:
    """Records that were read one by one."""

    def __init__(
        self,
        header: Sequence[str],
        lines: Sequence[int],
        rows: Sequence[Sequence[str]],
        rejected: Sequence[Rejected],
    ) -> None:
        self._header, self._lines, self._rows, self.rejected = header, lines, rows, rejected

    def __len__(self) -> int:
        return len(self._rows)

    def where(self, i: int) -> str:
        return f"line {self._lines[i]}"

    def fields(self) -> Sequence[Fields]:
        return [dict(zip(self._header, row, strict=True)) for row in self._rows]

    def columns(self) -> pa.Table | None:
        try:
            columns = [pa.array(cells, pa.string()) for cells in zip(*self._rows, strict=True)]
            return pa.table(columns, names=list(self._header)) if columns else None
        except UnicodeEncodeError:  # bytes that are not UTF-8
            return None


def read_csv(data: Data, *, stream: str, place: str) -> Iterator[CsvColumns | CsvCells]:
    """The rows of a file in bounded memory.

    Raises:
        InputError: it has no header line, or a column stands twice in it.
    """
    lines = Lines(data)
    try:
        yield from _read(lines, stream, place)
    finally:
        lines.close()


def _read(lines: Lines, stream: str, place: str) -> Iterator[CsvColumns | CsvCells]:
    delimiter = find_delimiter(lines.peek().rstrip("\r\n"))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(row for row in reader if row)]
    except (StopIteration, csv.Error) as err:
        raise InputError(f"{place}: no header line ({err}); the first line names columns") from err
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{place}: the column {twice[0]!r} stands twice; rename one of them")
    lines.start_record()
    more = True
    while more:
        if (block := lines.clean_block()) is not None:
            if (table := _columns(block, header, delimiter)) is not None:
                yield CsvColumns(table, lines.number + 1)
                lines.took(table.num_rows)
                continue
            lines.give_back(block)
        chunk, more = _row_by_row(lines, reader, header, stream)
        yield chunk


def _columns(block: bytes, header: Sequence[str], delimiter: str) -> pa.Table | None:
    """A clean block as columns; None when a line has another number of cells, or is no text."""
    rows = block.count(b"\n") + (not block.endswith(b"\n"))
    if len(header) < 2:
        return None  # an empty line would be a row
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(block),
            pa_csv.ReadOptions(
                column_names=list(header), use_threads=False, block_size=len(block) + 1
            ),
            pa_csv.ParseOptions(delimiter=delimiter, quote_char=False, double_quote=False),
            pa_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, UnicodeEncodeError):
        return None
    return table.combine_chunks() if table.num_rows == rows else None


def _row_by_row(
    lines: Lines, reader: Iterator[list[str]], header: Sequence[str], stream: str
) -> tuple[CsvCells, bool]:
    """Rows up to the end of what was read ahead, at most one chunk; whether there is more."""
    numbers: list[int] = []
    rows: list[list[str]] = []
    faults: list[Rejected] = []
    more = True
    while len(rows) + len(faults) < CHUNK_ROWS:
        lines.start_record()
        if (rows or faults) and lines.at_block:
            break
        number = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            more = False
            break
        except csv.Error as err:
            reason = f"line {number}: {err}; mend its quotes"
        else:
            if not cells:
                continue  # a blank line
            if len(cells) == len(header):
                numbers.append(number)
                rows.append(cells)
                continue
            reason = f"line {number} has {len(cells)} cells, the header has {len(header)}"
        # A stray quote swallows the lines that follow it: only the first of them is to blame.
        bad = lines.taken[0].rstrip("\r\n")
        lines.start_record(put_back=len(lines.taken) - 1)
        faults.append(rejected(stream, f"line {number}", BadRecord("bad-row", reason), bad))
    return CsvCells(header, numbers, rows, faults), more
