"""What threads of one process share: who sends which content, and how many bytes are in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from trainset.spec_media import IN_FLIGHT_BYTES
from trainset.transfer.malloc import return_freed_memory

T = TypeVar("T")

SMALL_WORKERS = 32  # files at once that are read into memory
LARGE_WORKERS = 4  # files at once that are sent in pieces; their parts have workers of their own


class Claims:
    """One thread at a time per content, so that two equal files are not both sent."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, sha256: str) -> Iterator[None]:
        with self._guard:
            lock, users = self._locks.get(sha256, (threading.Lock(), 0))
            self._locks[sha256] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, users = self._locks.pop(sha256)
                if users > 1:
                    self._locks[sha256] = (lock, users - 1)


class ByteBudget:
    """Bounds the bytes that all threads hold at once; a larger want waits until it is alone."""

    def __init__(self, limit: int) -> None:
        self._limit, self._used = limit, 0
        self._changed = threading.Condition()

    def allow(self, limit: int) -> None:
        """Another limit, also for those that wait already."""
        with self._changed:
            self._limit = limit
            self._changed.notify_all()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._used + min(size, self._limit) <= self._limit)
            held = min(size, self._limit)
            self._used += held
        try:
            yield
        finally:
            with self._changed:
                self._used -= held
                self._changed.notify_all()


class Lanes:
    """Workers for small and for large files: neither kind starves the other."""

    def __init__(self, small: int = SMALL_WORKERS, large: int = LARGE_WORKERS) -> None:
        self.workers = small + large
        self.memory = ByteBudget(IN_FLIGHT_BYTES)
        self.contents = Claims()
        self._small = ThreadPoolExecutor(small, thread_name_prefix="send")
        self._large = ThreadPoolExecutor(large, thread_name_prefix="send-large")

    def submit(self, work: Callable[[], T], *, large: bool) -> Future[T]:
        return (self._large if large else self._small).submit(work)

    def close(self) -> None:
        self._small.shutdown()
        self._large.shutdown()


@cache
def shared_lanes() -> Lanes:
    """The lanes of this process: batches that run side by side share its memory and threads."""
    return_freed_memory()
    return Lanes()
