"""Excel workbooks (.xlsx): the rows of one sheet below its header row, read as a stream.

Numbers and truth values stay what they are, dates and times are texts (ISO 8601), empty cells are
no values. What is written over merged cells holds for all of them, as it reads on the screen.
"""

from __future__ import annotations

import datetime as dt
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trainset.errors import InputError, MissingExtra
from trainset.metadata.base import Rejected
from trainset.metadata.formats.chunks import Data, Fields, Plain
from trainset.metadata.formats.sheet_marks import SheetMarks, sheet_marks
from trainset.metadata.formats.text import open_binary
from trainset.metadata.records import BadRecord, rejected

try:
    from openpyxl import load_workbook
    from openpyxl.utils import coordinate_to_tuple, get_column_letter, range_boundaries
except ImportError as err:
    raise MissingExtra("reading Excel files", "labels") from err

Cell = tuple[int, int]  # row and column, from 1


def read_xlsx(
    data: Data, *, stream: str, place: str, sheet: str | None = None
) -> Iterator[Plain | Rejected]:
    """The rows below the first row that has a value, which names the columns.

    A cell in a column without a name is kept under ``column <letter>``. A row with an error (#N/A)
    or with a formula whose value nobody stored is rejected.

    Args:
        sheet: its name; None: the first one.
    Raises:
        InputError: the file is broken, has no such sheet, or its header names a column twice.
    """
    with open_binary(data) as file:
        try:
            book = load_workbook(file, read_only=True, data_only=True)
            names = [found.title for found in book.worksheets]
            if not names or (sheet is not None and sheet not in names):
                raise InputError(
                    f"{place}: there is no sheet {sheet!r} (there are: {', '.join(names)}); "
                    "mend 'sheet'"
                )
            page = book[sheet or names[0]]
            page.reset_dimensions()  # some writers get them wrong
            with zipfile.ZipFile(file) as parts:
                marks = sheet_marks(parts, page.title)
            yield from _records(page.iter_rows(), _Marks(marks), stream, place)
        except (zipfile.BadZipFile, KeyError, ET.ParseError, EOFError, OSError, ValueError) as err:
            if isinstance(err, InputError):
                raise
            raise InputError(f"{place}: broken workbook ({err}); save it again") from err


class _Marks:
    """Merged cells take their value from the first of them."""

    def __init__(self, marks: SheetMarks) -> None:
        self.unvalued: frozenset[Cell] = frozenset(map(coordinate_to_tuple, marks.unvalued))
        self._starts: dict[int, list[tuple[int, int, int]]] = {}  # by first row: columns, last row
        for text in marks.merged:
            left, top, right, bottom = range_boundaries(text)
            self._starts.setdefault(top, []).append((left, right, bottom))
        self._open: list[tuple[int, int, int, Any]] = []

    def fill(self, number: int, values: dict[int, Any]) -> None:
        """Give the values of one row, by column, to the cells merged with them, also below."""
        self._open = [merged for merged in self._open if merged[2] >= number]
        for left, right, bottom in self._starts.get(number, ()):
            self._open.append((left, right, bottom, values.get(left)))
        for left, right, _, value in self._open:
            if value is not None:
                values.update(dict.fromkeys(range(left, right + 1), value))


def _records(
    rows: Iterator[Sequence[Any]], marks: _Marks, stream: str, place: str
) -> Iterator[Plain | Rejected]:
    header: dict[int, str] = {}
    for number, cells in enumerate(rows, 1):
        values = {i: c.value for i, c in enumerate(cells, 1) if c.value not in (None, "")}
        if not header:
            header = _header(values, place)
            continue
        errors = [i for i, c in enumerate(cells, 1) if c.data_type == "e"]
        missing = [i for i in range(1, len(cells) + 1) if (number, i) in marks.unvalued]
        marks.fill(number, values)
        fields = _fields(header, values)
        if fault := _fault(number, errors, missing, values):
            yield rejected(stream, f"row {number}", fault, fields)
        elif fields:
            yield f"row {number}", fields
    if not header:
        raise InputError(f"{place}: the sheet is empty; name another one with 'sheet'")


def _header(values: Mapping[int, Any], place: str) -> dict[int, str]:
    header = {column: str(_plain(value)).strip() for column, value in values.items()}
    names = list(header.values())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{place}: the column {twice[0]!r} stands twice; rename one of them")
    return header


def _fields(header: Mapping[int, str], values: Mapping[int, Any]) -> Fields:
    fields: Fields = {name: _plain(values.get(column)) for column, name in header.items()}
    for column in values.keys() - header.keys():
        fields[f"column {get_column_letter(column)}"] = _plain(values[column])
    return fields if values else {}


def _fault(
    number: int, errors: Sequence[int], missing: Sequence[int], values: Mapping[int, Any]
) -> BadRecord | None:
    if errors:
        where = f"{get_column_letter(errors[0])}{number}"
        return BadRecord("bad-value", f"{where} is {values.get(errors[0])}; mend its formula")
    if missing:
        where = f"{get_column_letter(missing[0])}{number}"
        reason = f"{where} is a formula without a stored value; open it in Excel and save it"
        return BadRecord("bad-value", reason)
    return None


def _plain(value: Any) -> Any:
    """A cell's value as JSON would have it; an empty cell is an empty text, as in CSV."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return str(value.date()) if value.time() == dt.time() else value.isoformat(" ")
    return value if isinstance(value, (str, bool, int, float)) else str(value)
