"""Reading S3 objects: as a stream that survives a broken connection, and into a file by ranges."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, BinaryIO

from trainset.errors import TransientError
from trainset.stores.retry import Retrier
from trainset.stores.sender import BLOCK, Download

# (first byte, bytes or None for the rest, ETag or None) -> a reply; raises trainset.errors.
OpenAt = Callable[[int, int | None, str | None], Download]
Read = Callable[[Download, int], bytes]  # raises trainset.errors

RANGED_BYTES = 64 * 2**20  # objects from this size on come in ranges, several at once
_RANGE_BYTES = 16 * 2**20


class S3Reader(io.RawIOBase):
    """Sequential reader of one object.

    A broken connection is opened again where it broke, pinned to the first reply's ETag: the bytes
    are of one version, or ``SourceChanged`` is raised.

    Args:
        open_at: starts a GET; is run by ``retrier``.
        read: reads n bytes of a reply.
    """

    def __init__(self, open_at: OpenAt, read: Read, retrier: Retrier) -> None:
        self._open_at, self._read, self._retrier = open_at, read, retrier
        self._at = 0
        self._reply: Download | None = None
        self._reply = retrier.call(lambda: open_at(0, None, None))  # NotFound comes now
        self.etag, self.size = self._reply.etag, self._reply.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self.size - self._at)
        if wanted <= 0:
            return 0
        # A block of a reply that flows is no request: it takes no turn at the gate.
        data = self._flowing(wanted) or self._retrier.call(lambda: self._attempt(wanted))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _flowing(self, wanted: int) -> bytes:
        """The next bytes of the reply that is open; b"" when none is, or it broke."""
        if self._reply is None:
            return b""
        try:
            return self._attempt(wanted)
        except TransientError:
            return b""

    def _attempt(self, wanted: int) -> bytes:
        if self._reply is None:
            self._reply = self._open_at(self._at, None, self.etag)
        try:
            data = self._read(self._reply, wanted)
            if not data:
                raise TransientError(f"the stream ended at byte {self._at} of {self.size}")
        except TransientError:
            self._drop()
            raise
        return data

    def _drop(self) -> None:
        if self._reply is not None:
            self._reply.close()
            self._reply = None

    def close(self) -> None:
        if not self.closed:
            self._drop()
        super().close()


def read_all(reply: Download, read: Read) -> bytes:
    """All bytes of a reply. Raises TransientError when it ends early."""
    try:
        pieces = []
        left = reply.size
        while left:
            data = read(reply, left)
            if not data:
                raise TransientError(f"the reply ended {left} bytes early; run again")
            pieces.append(data)
            left -= len(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    finally:
        reply.close()


def fetch_ranges(
    target: BinaryIO,
    size: int,
    etag: str,
    *,
    open_at: OpenAt,
    read: Read,
    retrier: Retrier,
    workers: Executor,
) -> None:
    """Fill an open file with an object of ``size`` bytes, by ranges of one version.

    Raises:
        SourceChanged: the object was overwritten meanwhile.
    """

    def fetch(start: int) -> None:
        reply = open_at(start, min(_RANGE_BYTES, size - start), etag)
        try:
            at, end = start, start + min(_RANGE_BYTES, size - start)
            while at < end:
                data = read(reply, min(BLOCK, end - at))
                if not data:
                    raise TransientError(f"a range ended at byte {at}, not {end}; run again")
                os.pwrite(target.fileno(), data, at)
                at += len(data)
        finally:
            reply.close()

    starts = range(0, size, _RANGE_BYTES)
    futures = [workers.submit(retrier.call, partial(fetch, start)) for start in starts]
    try:
        for future in futures:
            future.result()
    finally:
        for future in futures:
            future.cancel()
