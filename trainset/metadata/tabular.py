"""CSV, JSON Lines and JSON arrays as plain records, one dict each, with bad ones set aside.

What the fields of a record mean is decided in ``shapes``; here is only how they are written down.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.records import BadRecord, load_json, rejected

TableFormat = Literal["csv", "jsonl", "json"]
Plain = tuple[str, dict[str, Any]]  # where the record stands, and its fields

DELIMITERS = ",\t;|"
RECORD_LISTS = ("samples", "records", "data", "items", "rows")
LINES_A_CELL = 1000  # a quoted cell that runs longer is a quote that was never closed

csv.field_size_limit(2**30)  # the default of 128 KiB is less than a transcript or an embedding


def read_plain(
    data: bytes, format_: TableFormat, *, stream: str, place: str
) -> Iterator[Plain | Rejected]:
    """The records of one file as they are written.

    Args:
        data: the whole file.
        stream: name for the rejected.
        place: the file, for messages.
    Raises:
        InputError: the file as a whole cannot be read.
    """
    text = decode(data)
    if format_ == "csv":
        return _read_csv(text, stream, place)
    if format_ == "jsonl":
        return _read_jsonl(text, stream)
    return _read_json(text, stream, place)


def decode(data: bytes) -> str:
    """Text of a file; bytes that are not UTF-8 stay as lone surrogates, to reject their record."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "surrogateescape")


def find_delimiter(header: str) -> str:
    """The delimiter that cuts the header line into most cells; a comma when none does."""
    return max(DELIMITERS, key=lambda d: len(next(csv.reader([header], delimiter=d), [])))


class _Lines:
    """Lines for ``csv.reader`` that remembers what it gave out and takes lines back."""

    def __init__(self, text: str) -> None:
        self._ahead: deque[str] = deque()
        self._rest: Iterator[str] = io.StringIO(text, newline="")
        self.taken: list[str] = []
        self.number = 0  # lines before those in ``taken``

    def start_record(self, *, put_back: int = 0) -> None:
        """Forget the lines of the last record, or give its last ``put_back`` lines out again."""
        self.number += len(self.taken) - put_back
        if put_back:
            self._ahead.extendleft(reversed(self.taken[-put_back:]))
        self.taken = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= LINES_A_CELL:
            raise csv.Error(f"a quoted cell runs over {LINES_A_CELL} lines")
        line = self._ahead.popleft() if self._ahead else next(self._rest)
        self.taken.append(line)
        return line


def _read_csv(text: str, stream: str, place: str) -> Iterator[Plain | Rejected]:
    lines = _Lines(text)
    delimiter = find_delimiter(text.lstrip().partition("\n")[0])
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(row for row in rows if row)]
    except (StopIteration, csv.Error) as err:
        raise InputError(f"{place}: no header line ({err}); the first line names columns") from err
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{place}: the column {twice[0]!r} stands twice; rename one of them")
    while True:
        lines.start_record()
        number = lines.number + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as err:
            reason = f"line {number}: {err}; mend its quotes"
        else:
            if not cells:
                continue  # a blank line
            if len(cells) == len(header):
                yield f"line {number}", dict(zip(header, cells, strict=True))
                continue
            reason = f"line {number} has {len(cells)} cells, the header has {len(header)}"
        # A stray quote swallows the lines that follow it: only the first of them is to blame.
        bad = lines.taken[0].rstrip("\r\n")
        lines.start_record(put_back=len(lines.taken) - 1)
        yield rejected(stream, f"line {number}", BadRecord("bad-row", reason), bad)


def _read_jsonl(text: str, stream: str) -> Iterator[Plain | Rejected]:
    for i, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"line {i}"
        try:
            yield where, _object(load_json(line), where)
        except BadRecord as fault:
            yield rejected(stream, where, fault, line.rstrip("\r"))
        except ValueError as err:
            broken = BadRecord("bad-record", f"{where} is not JSON: {err}")
            yield rejected(stream, where, broken, line.rstrip("\r"))


def _read_json(text: str, stream: str, place: str) -> Iterator[Plain | Rejected]:
    try:
        top = load_json(text)
    except ValueError as err:
        raise InputError(f"{place}: broken JSON ({err}); write the file again") from err
    for i, item in enumerate(_records_of(top, place)):
        where = f"[{i}]"
        try:
            yield where, _object(item, where)
        except BadRecord as fault:
            yield rejected(stream, where, fault, item)


def _records_of(top: Any, place: str) -> Iterable[Any]:
    if isinstance(top, list):
        return top
    lists = [top[name] for name in RECORD_LISTS if isinstance(top, dict) and name in top]
    if len(lists) == 1 and isinstance(lists[0], list):
        return lists[0]
    raise InputError(
        f"{place}: a JSON file of records is an array of objects, or an object that holds one "
        f"under one of {', '.join(RECORD_LISTS)}; this is neither"
    )


def _object(item: Any, where: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise BadRecord("bad-record", f"{where} is {type(item).__name__}, not an object")
    return item
