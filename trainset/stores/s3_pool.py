"""The threads of one store that carry parts and ranges of large objects."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

AT_ONCE = 8  # parts over all files of a store: four large files do not mean 32 threads


class Workers:
    """A pool that starts with its first job, and anew in a forked process.

    Attributes:
        files: how many are being fetched now.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._owner = 0
        self.files = 0

    @contextmanager
    def file(self) -> Iterator[None]:
        """One more file is being fetched while the block runs."""
        with self._lock:
            self.files += 1
        try:
            yield
        finally:
            with self._lock:
                self.files -= 1

    def submit(self, job: Callable[..., T], *arguments: Any) -> Future[T]:
        with self._lock:
            if self._pool is None or self._owner != os.getpid():
                self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="part")
                self._owner = os.getpid()
            return self._pool.submit(job, *arguments)


def finish(jobs: Sequence[Future[Any]]) -> None:
    """Wait for all; after the first error the rest is called off, and the error raised.

    When it returns or raises, none of the jobs runs any more.
    """
    try:
        wait(jobs, return_when=FIRST_EXCEPTION)
    finally:
        stop(jobs)
    for job in jobs:
        if not job.cancelled():
            job.result()


def stop(jobs: Sequence[Future[Any]]) -> None:
    """Call off what has not begun, and wait for what has."""
    for job in jobs:
        job.cancel()
    wait(jobs)


def failed(jobs: Sequence[Future[Any]]) -> bool:
    """Whether one of the jobs has ended with an error."""
    return any(job.done() and not job.cancelled() and job.exception() for job in jobs)
