"""What the base commit says of source files: the two questions of a plan, and rows in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

MISSING = "missing"


class BaseRow(NamedTuple):
    """What a row of ``media`` says of its source file; ``source_state``: present or missing."""

    size: int | None
    source_version: str | None
    source_state: str = "present"


class Found(NamedTuple):
    """What the base says of some files, in their order.

    known: there is a row. same: its size and version are the asked ones. missing: the row says
    that its file was gone.
    """

    known: Sequence[bool]
    same: Sequence[bool]
    missing: Sequence[bool]


class BaseFiles(Protocol):
    """The rows of one commit: those of the media table (``base_index.BaseIndex``), or given."""

    def find(self, files: Sequence[tuple[str, int, str]]) -> Found:
        """Look up (key, size, version) of some files, and remember that they were listed."""
        ...

    def unseen(self) -> Iterator[tuple[str, bool]]:
        """(key, whether it says missing) of rows that ``find`` was not asked for."""
        ...


class BaseRows:
    """Rows by key; of a first run none. Needs no package that tables need."""

    def __init__(self, rows: Mapping[str, BaseRow]) -> None:
        self._rows, self._seen = rows, set[str]()

    def find(self, files: Sequence[tuple[str, int, str]]) -> Found:
        rows = [self._rows.get(key) for key, _, _ in files]
        self._seen.update(key for (key, _, _), row in zip(files, rows, strict=True) if row)
        return Found(
            known=[row is not None for row in rows],
            same=[
                row is not None and row[:2] == (size, version)
                for row, (_, size, version) in zip(rows, files, strict=True)
            ],
            missing=[row is not None and row.source_state == MISSING for row in rows],
        )

    def unseen(self) -> Iterator[tuple[str, bool]]:
        for key, row in self._rows.items():
            if key not in self._seen:
                yield key, row.source_state == MISSING
