"""One lock of ours per git store: writers of one machine (or one shared folder) take turns."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType


class StoreLock:
    """``flock`` on a file; the kernel lets go of it when its process dies, also by kill -9.

    May be taken again by the thread that holds it. Threads of one process exclude each other too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = threading.local()

    def __enter__(self) -> StoreLock:
        self._take(fcntl.LOCK_EX)
        return self

    @contextmanager
    def if_free(self) -> Iterator[bool]:
        """Hold the lock if nobody else does; says whether it is held. Never waits."""
        try:
            self._take(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            self._let_go()

    def _take(self, how: int) -> None:
        depth = getattr(self._held, "depth", 0)
        if depth == 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(handle, how)
            except BaseException:
                os.close(handle)
                raise
            self._held.handle = handle
        self._held.depth = depth + 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._let_go()

    def _let_go(self) -> None:
        self._held.depth -= 1
        if self._held.depth == 0:
            os.close(self._held.handle)  # closing the only handle lets go of the lock
