"""Trying again: full jitter for passing faults, one shared pause for throttling.

botocore's own retries are switched off: they ignore ``Retry-After``, and their quota gives up on
files when many threads are throttled at once. Which error is of which class: ``retry_class``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from trainset.errors import SourceChanged, StaleSignature, Throttled, TransientError
from trainset.stores.throttle import Gate

__all__ = ["Gate", "Retrier", "Throttled"]

T = TypeVar("T")
_LEAST_PAUSE_S = 1.0  # of all threads, when one was throttled


@dataclass
class Retrier:
    """Runs one request until it passes, or its budget is used up.

    Attributes:
        attempts: of a request that fails for a passing reason.
        base_s, cap_s: pause after failure n is uniform in 0 … min(cap_s, base_s * 2**n) seconds,
            n from 0.
        throttle_s: how long one request may be throttled; throttling uses up no attempts.
        gate: every attempt passes through it. The default is this retrier's own; stores share
            theirs (``throttle.shared_gate``).
        renew: drops idle connections: the next attempt uses a new one, which may lead to a part of
            the store that works.
        sleep: waits so many seconds.
    """

    attempts: int = 8
    base_s: float = 1.0
    cap_s: float = 64.0
    throttle_s: float = 900.0
    gate: Gate = field(default_factory=Gate)
    renew: Callable[[], object] | None = None
    sleep: Callable[[float], None] = time.sleep

    def call(self, request: Callable[[], T], *, found: Callable[[], T | None] | None = None) -> T:
        """Run ``request``; it raises ``Throttled`` or ``TransientError`` to be run again.

        Args:
            found: looks whether a failed attempt went through after all (its reply was lost);
                what it returns, unless None, is the result. Without it a write would be repeated.
        Raises:
            TransientError: the budget is used up; the last error.
        """
        failed, stale = 0, False
        throttled_since: float | None = None
        while True:
            try:
                return self._attempt(request)
            except Throttled:
                now = time.monotonic()
                throttled_since = now if throttled_since is None else throttled_since
                if now - throttled_since >= self.throttle_s:
                    raise
            except SourceChanged:
                raise  # asked again at once, it would still be another version
            except StaleSignature:
                if stale:
                    raise
                stale = True  # the next attempt is signed by the clock of then
            except TransientError:
                failed += 1
                if failed >= self.attempts:
                    raise
                if self.renew is not None:
                    self.renew()
                self.sleep(random.uniform(0, min(self.cap_s, self.base_s * 2 ** (failed - 1))))
                if found is not None and (result := found()) is not None:
                    return result

    def _attempt(self, request: Callable[[], T]) -> T:
        ticket = self.gate.acquire()
        try:
            result = request()
        except Throttled as err:
            asked = err.retry_after_s or 0.0
            self.gate.throttled(ticket, max(asked, min(_LEAST_PAUSE_S, self.cap_s)))
            raise
        except BaseException:
            self.gate.release(ticket, succeeded=False)
            raise
        self.gate.release(ticket, succeeded=True)
        return result
