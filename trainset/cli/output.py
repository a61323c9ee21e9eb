"""How answers are written: a table for people, JSON and CSV for scripts."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel

MAX_CELL = 60  # characters
_GAP = "  "


@dataclass(frozen=True)
class Answer:
    """What a command found.

    Attributes:
        data: for JSON.
        rows: for the table and for CSV; None: ``data`` itself, or its fields.
        title: lines above the table, for people only.
        status: exit status.
        max_cell: characters of a cell in the table.
        empty: what people read in place of a table without rows.
    """

    data: Any
    rows: Sequence[Mapping[str, Any]] | None = None
    title: Sequence[str] = field(default=())
    status: int = 0
    max_cell: int = MAX_CELL
    empty: str = "no rows"

    def as_rows(self) -> Sequence[Mapping[str, Any]]:
        if self.rows is not None:
            return self.rows
        data = self.data.model_dump() if isinstance(self.data, BaseModel) else self.data
        if isinstance(data, Mapping):
            return [{"field": name, "value": value} for name, value in data.items()]
        rows: Sequence[Mapping[str, Any]] = data
        return rows


def print_answer(answer: Answer, format_: str) -> None:
    """Write an answer to stdout."""
    if format_ == "json":
        print(json.dumps(_plain(answer.data), ensure_ascii=False, indent=2, allow_nan=False))
    elif format_ == "csv":
        _print_csv(answer.as_rows())
    else:
        for line in answer.title:
            print(line)
        if rows := answer.as_rows():
            _print_table(rows, answer.max_cell)
        elif answer.empty:
            print(answer.empty)
    sys.stdout.flush()


def _print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    names = _names(rows)
    if not names:
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_csv_cell(row.get(name)) for name in names])


def _print_table(rows: Sequence[Mapping[str, Any]], max_cell: int) -> None:
    names = _names(rows)
    cells = [[_cell(row.get(name), max_cell) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    screen = shutil.get_terminal_size((160, 24)).columns if sys.stdout.isatty() else 0
    for line in [names, ["-" * width for width in widths], *cells]:
        text = _GAP.join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        print(text if not screen or len(text) <= screen else text[: screen - 1] + "…")


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _cell(value: Any, max_cell: int) -> str:
    """One cell for people: short, on one line."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e6 else f"{value:.0f}"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, (list, tuple)) and len(value) > 8 and isinstance(value[0], (int, float)):
        return f"<{len(value)} floats>"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, (Mapping, list, tuple, BaseModel)):
        value = json.dumps(_plain(value), ensure_ascii=False)
    text = " ".join(str(value).split())
    return text if len(text) <= max_cell else text[: max_cell - 1] + "…"


def _csv_cell(value: Any) -> str | int | float:
    plain = _plain(value)
    if plain is None:
        return ""
    if isinstance(plain, (Mapping, list)):
        return json.dumps(plain, ensure_ascii=False)
    return plain if isinstance(plain, (str, int, float)) else str(plain)


def _plain(value: Any) -> Any:
    """JSON's own types: times as ISO 8601, bytes as hex, NaN as null."""
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)
