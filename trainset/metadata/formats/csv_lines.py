"""The lines of a CSV file: handed out one by one, taken back, or left in blocks that are clean."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from trainset.metadata.formats.chunks import Data
from trainset.metadata.formats.text import UTF8_MARK, UTF16, open_binary, open_text

LINES_A_CELL = 1000  # a quoted cell that runs longer is a quote that was never closed
BLOCK_BYTES = 2**20


class Lines:
    """Lines for ``csv.reader`` that remembers what it gave out and takes lines back.

    Between two records, ``clean_block`` takes many lines at once, as bytes, where no reader is
    needed to tell records and cells apart: no quotes, no blank lines, no odd line ends.
    """

    def __init__(self, data: Data) -> None:
        self._ahead: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0  # lines before those in ``taken``
        self._file: BinaryIO | None = None
        with open_binary(data) as start:
            self._is_utf16 = start.read(2) in UTF16
        if self._is_utf16:
            self._rest: Iterator[str] = open_text(data, newline="")
        else:
            self._file = open_binary(data)
            if self._file.read(3) != UTF8_MARK:
                self._file.seek(0)
            self._rest = self._lines_of(self._file)

    def peek(self) -> str:
        """The first line that is not blank; "" at the end."""
        seen: list[str] = []
        while not seen or not seen[-1].strip():
            line = self._ahead.popleft() if self._ahead else next(self._rest, "")
            if not line:
                break
            seen.append(line)
        self._ahead.extendleft(reversed(seen))
        return seen[-1] if seen else ""

    @property
    def at_block(self) -> bool:
        """Whether the next line begins a block that nobody has looked at."""
        return self._file is not None and not self._ahead

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        elif isinstance(self._rest, io.TextIOBase):
            self._rest.close()

    def start_record(self, *, put_back: int = 0) -> None:
        """Forget the lines of the last record, or give its last ``put_back`` lines out again."""
        self.number += len(self.taken) - put_back
        if put_back:
            self._ahead.extendleft(reversed(self.taken[-put_back:]))
        self.taken = []

    def clean_block(self) -> bytes | None:
        """The next whole lines, about ``BLOCK_BYTES``; None where they must be read one by one."""
        if self._file is None or self._ahead:
            return None
        block = self._file.read(BLOCK_BYTES)
        block += self._file.readline()
        if block and not _is_odd(block):
            return block
        self._ahead.extend(_split(block))
        return None

    def took(self, lines: int) -> None:
        """Count the lines of a clean block as given out."""
        self.number += lines

    def give_back(self, block: bytes) -> None:
        """Have the lines of a clean block read one by one after all."""
        self._ahead.extend(_split(block))

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= LINES_A_CELL:
            raise csv.Error(f"a quoted cell runs over {LINES_A_CELL} lines")
        line = self._ahead.popleft() if self._ahead else next(self._rest)
        self.taken.append(line)
        return line

    @staticmethod
    def _lines_of(file: BinaryIO) -> Iterator[str]:
        while line := file.readline():
            yield from _split(line)


def _split(block: bytes) -> Iterator[str]:
    return io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")


def _is_odd(block: bytes) -> bool:
    return (
        b'"' in block
        or b"\0" in block
        or block.startswith((b"\n", b"\r"))
        or b"\n\n" in block
        or b"\n\r" in block
        or (b"\r" in block and block.count(b"\r") != block.count(b"\r\n"))
    )
