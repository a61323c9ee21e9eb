"""Reading an S3 object as a stream that survives a broken connection."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from trainset.errors import SourceChanged, TransientError
from trainset.stores.sender import Download

# (first byte, ETag or None) -> the reply to a GET.
OpenAt = Callable[[int, str | None], Download]
# Runs one request with our errors and retries.
Run = Callable[[Callable[[], Any]], Any]


class S3Reader(io.RawIOBase):
    """Sequential reader of one object.

    A broken connection is opened again where it broke, pinned to the first reply's ETag: the bytes
    are of one version, or ``SourceChanged`` is raised.
    """

    def __init__(self, open_at: OpenAt, run: Run) -> None:
        self._open_at, self._run = open_at, run
        self._at = 0
        self._reply: Download | None = None
        first: Download = run(lambda: open_at(0, None))  # NotFound comes now, not at read
        self._reply, self._etag, self._size = first, first.etag, first.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        data: bytes = self._run(lambda: self._attempt(wanted))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _attempt(self, wanted: int) -> bytes:
        if self._reply is None:
            self._reply = self._open_at(self._at, self._etag)
            if self._reply.total != self._size:
                raise SourceChanged("the object")
        try:
            data = self._reply.read(wanted)
            if not data:
                raise TransientError(f"the stream ended at byte {self._at} of {self._size}")
        except Exception:
            self._drop()
            raise
        return data

    def _drop(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.close()

    def close(self) -> None:
        if not self.closed:
            self._drop()
        super().close()
