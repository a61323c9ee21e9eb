"""Reading an S3 object as a stream that survives a broken connection."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from trainset.errors import TransientError
from trainset.stores.retry import Retrier
from trainset.stores.sender import Download

# (first byte, ETag or None) -> the reply to a GET; raises trainset.errors.
OpenAt = Callable[[int, str | None], Download]
Read = Callable[[Download, int], bytes]  # raises trainset.errors


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
        self._reply = retrier.call(lambda: open_at(0, None))  # NotFound comes now
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
            self._reply = self._open_at(self._at, self.etag)
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
