"""A sequential reader that goes on where a broken connection stopped."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol, TypeVar, cast

from trainset.errors import TransientError

T = TypeVar("T")
_BLOCK = 2**20  # bytes read at once


class Stream(Protocol):
    """The rest of one object; raises ``trainset.errors``. ``size`` is the whole object's."""

    size: int | None

    def read(self, size: int) -> bytes: ...
    def close(self) -> None: ...


class Call(Protocol):
    """Runs a request, again where its error is a passing one."""

    def __call__(self, request: Callable[[], T]) -> T: ...


def resuming(open_at: Callable[[int], Stream], call: Call) -> BinaryIO:
    """A reader of one object.

    Args:
        open_at: opens the object from a byte on; sees to it that it is the same version.
    """
    return cast(BinaryIO, io.BufferedReader(_ResumingReader(open_at, call), _BLOCK))


class _ResumingReader(io.RawIOBase):
    def __init__(self, open_at: Callable[[int], Stream], call: Call) -> None:
        self._open_at, self._call = open_at, call
        self._at = 0
        self._stream: Stream | None = call(lambda: open_at(0))  # NotFound comes now

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._call(lambda: self._attempt(len(buffer)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _attempt(self, wanted: int) -> bytes:
        if self._stream is None:
            self._stream = self._open_at(self._at)
        size = self._stream.size
        if size is not None and self._at >= size:
            return b""
        try:
            data = self._stream.read(wanted if size is None else min(wanted, size - self._at))
            if not data and size is not None:
                raise TransientError(f"the stream ended at byte {self._at} of {size}; run again")
        except TransientError:
            self._drop()
            raise
        return data

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def close(self) -> None:
        if not self.closed:
            self._drop()
        super().close()
