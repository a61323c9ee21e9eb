"""Trying again: full jitter for passing faults, one shared pause for throttling.

botocore's own retries are switched off: they ignore ``Retry-After``, and their quota gives up on
files when many threads are throttled at once.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from trainset.errors import TransientError

T = TypeVar("T")


class Throttled(TransientError):
    """The store asks for fewer requests; ``retry_after_s`` seconds if it said how long."""

    kind = "throttled"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class Gate:
    """Holds back all threads that use one store while the store asks for a pause."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open_at = 0.0

    def wait(self) -> None:
        while (left := self._open_at - time.monotonic()) > 0:
            time.sleep(left + random.uniform(0, 0.1))  # not all at once when it opens

    def hold(self, seconds: float) -> None:
        with self._lock:
            self._open_at = max(self._open_at, time.monotonic() + seconds)


@dataclass
class Retrier:
    """Runs one request until it passes, or its budget is used up.

    Attributes:
        attempts: of a request that fails for a passing reason.
        base_s, cap_s: pause before attempt n is uniform in 0 … min(cap_s, base_s * 2**n) seconds.
        throttle_s: how long one request may be throttled; throttling uses up no attempts.
    """

    attempts: int = 7
    base_s: float = 0.5
    cap_s: float = 20.0
    throttle_s: float = 900.0
    gate: Gate = field(default_factory=Gate)

    def call(self, request: Callable[[], T], *, found: Callable[[], T | None] | None = None) -> T:
        """Run ``request``; it raises ``Throttled`` or ``TransientError`` to be run again.

        Args:
            found: looks whether a failed attempt went through after all (its reply was lost);
                what it returns, unless None, is the result. Without it a write would be repeated.
        Raises:
            TransientError: the budget is used up; the last error.
        """
        failed, throttled = 0, 0
        give_up_at = 0.0
        while True:
            self.gate.wait()
            try:
                return request()
            except Throttled as err:
                now = time.monotonic()
                throttled += 1
                give_up_at = give_up_at or now + self.throttle_s
                if now >= give_up_at:
                    raise
                pause = err.retry_after_s
                self.gate.hold(self._jitter(throttled) if pause is None else pause)
            except TransientError:
                failed += 1
                if failed >= self.attempts:
                    raise
                time.sleep(self._jitter(failed))
                if found is not None and (result := found()) is not None:
                    return result

    def _jitter(self, attempt: int) -> float:
        return random.uniform(0, min(self.cap_s, self.base_s * 2**attempt))
