"""What threads of one process share: who sends which content, and how many bytes are in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from queue import SimpleQueue

from trainset.spec_media import IN_FLIGHT_BYTES
from trainset.transfer.memory import collect_seldom, return_freed_memory

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
        self._limit, self._used, self._waiting = limit, 0, 0
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def allow(self, limit: int) -> None:
        """Another limit, also for those that wait already."""
        with self._changed:
            self._limit = limit
            self._changed.notify_all()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        with self._lock:
            while self._used + min(size, self._limit) > self._limit:
                self._waiting += 1
                self._changed.wait()
                self._waiting -= 1
            held = min(size, self._limit)
            self._used += held
        try:
            yield
        finally:
            with self._lock:
                self._used -= held
                if self._waiting:
                    self._changed.notify_all()


class Lane:
    """Threads that do one piece of work after another; what becomes of it, the work itself says.

    Not an executor: a future for each small file would cost as much as signing its request.
    """

    def __init__(self, workers: int, name: str) -> None:
        self._workers, self._name = workers, name
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def submit(self, work: Callable[[], None]) -> None:
        """Let ``work``, which must not raise, be done by one of the threads."""
        self._queue.put(work)
        if len(self._threads) < self._workers:
            with self._lock:
                if len(self._threads) < self._workers:
                    self._start()

    def close(self) -> None:
        """Do what was submitted, and end the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
            del work  # it holds a file's facts; the next may be long in coming


class Lanes:
    """Workers for small and for large files: neither kind starves the other."""

    def __init__(self, small: int = SMALL_WORKERS, large: int = LARGE_WORKERS) -> None:
        self.workers = small + large
        self.memory = ByteBudget(IN_FLIGHT_BYTES)
        self.contents = Claims()
        self._small, self._large = Lane(small, "send"), Lane(large, "send-large")

    def submit(self, work: Callable[[], None], *, large: bool) -> None:
        (self._large if large else self._small).submit(work)

    def close(self) -> None:
        self._small.close()
        self._large.close()


@cache
def shared_lanes() -> Lanes:
    """The lanes of this process: batches that run side by side share its memory and threads."""
    return_freed_memory()
    collect_seldom()
    return Lanes()
