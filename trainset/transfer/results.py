"""``Results``: what worker threads hand to the one that waits for them."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Results(Generic[T]):
    """A queue whose reader is woken once for many results.

    To wake a thread for each of many small files takes the workers longer than to sign a request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._enough = threading.Condition(self._lock)
        self._items: list[T] = []
        self._wanted = 1

    def put(self, item: T, *, urgent: bool = False) -> None:
        """Hand over one result; an ``urgent`` one wakes the reader at once."""
        with self._lock:
            self._items.append(item)
            if urgent or len(self._items) >= self._wanted:
                self._enough.notify()

    def take(self, wanted: int, *, within_s: float) -> list[T]:
        """Wait for ``wanted`` results, an urgent one, or so long; what there is, in order."""
        with self._lock:
            self._wanted = wanted
            if len(self._items) < wanted:
                self._enough.wait(within_s)
            items, self._items = self._items, []
            return items
