"""JSON Lines, and JSON arrays of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.formats.chunks import Data, Fields, Plain
from trainset.metadata.formats.text import decode, open_text
from trainset.metadata.records import BadRecord, load_json, rejected

RECORD_LISTS = ("samples", "records", "data", "items", "rows")


def read_jsonl(data: Data, *, stream: str, place: str) -> Iterator[Plain | Rejected]:
    """The objects of a file with one a line, read as they are asked for."""
    with open_text(data, newline="\n") as lines:
        for i, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where, line = f"line {i}", line.removesuffix("\n")
            try:
                yield where, _object(load_json(line), where)
            except BadRecord as fault:
                yield rejected(stream, where, fault, line.rstrip("\r"))
            except ValueError as err:
                broken = BadRecord("bad-record", f"{where} is not JSON: {err}")
                yield rejected(stream, where, broken, line.rstrip("\r"))


def read_json(data: Data, *, stream: str, place: str) -> Iterator[Plain | Rejected]:
    """The objects of one array; the file is parsed as a whole.

    Raises:
        InputError: it is broken, or holds no array of records.
    """
    body = data if isinstance(data, bytes) else data.read_bytes()
    try:
        top = load_json(decode(body))
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


def _object(item: Any, where: str) -> Fields:
    if not isinstance(item, dict):
        raise BadRecord("bad-record", f"{where} is {type(item).__name__}, not an object")
    return item
