"""Files of JSON lines that the steps of a run hand to each other, in its scratch folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import IO

from trainset.model import Frozen
from trainset.run.context import Run


def lines_path(run: Run, what: str, number: int) -> Path:
    """JSON lines that one step leaves for the next."""
    return run.scratch / f"{what}-{number:06d}.jsonl"


def write_lines(path: Path, items: Iterable[Frozen]) -> None:
    """One item a line, as JSON."""
    with open_lines(path) as lines:
        lines.writelines(f"{item.model_dump_json()}\n" for item in items)


def open_lines(path: Path) -> IO[str]:
    """A new file of JSON lines; what an earlier try left in it is gone."""
    return path.open("w", encoding="utf-8", newline="\n")
