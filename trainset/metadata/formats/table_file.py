"""``TableFile``: the chunks of one table file, as often as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from trainset.metadata.formats.chunks import Chunk, Data, TableFormat
from trainset.metadata.tabular import read_chunks

HELD_BYTES = 2**24  # a smaller file is parsed once and held; a larger one is read again


class TableFile:
    """One file; every iteration gives all its chunks, those of a large file as they are read.

    A JSON array is held in any case: it cannot be parsed in parts.

    Raises:
        InputError: while iterating, the file as a whole cannot be read.
    """

    def __init__(
        self, data: Data, format_: TableFormat, *, stream: str, place: str, sheet: str | None = None
    ) -> None:
        self._data, self._format, self._sheet = data, format_, sheet
        self.stream, self.place = stream, place
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        self._holds = format_ == "json" or size <= HELD_BYTES
        self._held: list[Chunk] | None = None

    def __iter__(self) -> Iterator[Chunk]:
        if self._holds and self._held is None:
            self._held = list(self._read())
        return self._read() if self._held is None else iter(self._held)

    def _read(self) -> Iterator[Chunk]:
        return read_chunks(
            self._data, self._format, stream=self.stream, place=self.place, sheet=self._sheet
        )
