"""How fast requests may leave for one place: decided from what came back. Pure, no clock.

Additive increase, multiplicative decrease of two numbers: requests under way at once and requests a
second. A second question is asked while they grow, for a bandwidth cap sends no 503: does more come
through than before?
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

START, CEILING = 32, 128  # requests at once
CUT = 0.7
_BURST_S = 0.05  # of the rate: so much may leave at once after a silence
_LEAST_RATE = 0.1  # of the allowed rate: a server that refuses at random must not stop all
_REGAIN = 0.01  # of the allowed rate, a second without throttling
_STEP = 1.25  # growth after which the gain is measured
_GAIN = 0.2  # of the growth must come through: 5 % more for a quarter more
_MEASURE_S, _REST_S = 2.0, 30.0


@dataclass
class Growth:
    """Whether more requests at once bring more through: measure, grow by a quarter, measure.

    Requests and bytes are both watched, and a rise of either counts: a run whose files become
    smaller moves fewer bytes and more files.
    """

    base: int = START
    _before: tuple[float, float] | None = None  # requests/s and bytes/s at ``base``
    _since: float | None = None
    _done: int = 0
    _moved: int = 0
    _rest_until: float = 0.0

    def restart(self, limit: int) -> None:
        """Forget what was measured: ``limit`` was cut."""
        self.base, self._before, self._since = limit, None, None

    def next_limit(self, limit: int, now: float, moved: int, *, window: bool) -> int:
        """The limit after one more success; ``moved``: bytes since the last call.

        Args:
            window: whether ``limit`` requests have gone well since the last growth.
        """
        if now < self._rest_until:
            return limit
        top = min(CEILING, max(limit, math.ceil(self.base * _STEP)))
        if self._before is not None and limit < top:
            return limit + 1 if window else limit
        if self._since is None:
            self._since, self._done, self._moved = now, 0, 0
            return limit
        self._done += 1
        self._moved += moved
        passed = now - self._since
        if passed < _MEASURE_S or self._done < 2 * limit:
            return limit
        rates = (self._done / passed, self._moved / passed)
        before, self._before, self._since = self._before, rates, None
        if before is None:
            return limit
        enough = 1 + _GAIN * (limit / self.base - 1)
        if any(new > enough * old for new, old in zip(rates, before, strict=True)):
            self.base = limit
            return limit
        self._before, self._rest_until = None, now + _REST_S
        return self.base


@dataclass
class Pacing:
    """The numbers that one gate keeps; its owner locks.

    A cut starts a new epoch. A request that left in an earlier one tells nothing new when it is
    throttled: many workers that meet the same refusal cut once, and pause once.

    Attributes:
        allowed: requests/s at most.
        limit: requests at once; grows by one after ``limit`` successes that used it fully.
        rate: requests/s now.
        open_at: no request leaves before that time.
    """

    allowed: float
    limit: int = START
    epoch: int = 0
    open_at: float = 0.0
    rate: float = field(init=False)
    _next_at: float = 0.0  # when the next request's turn is, if none is saved up
    _successes: int = 0
    _regained_at: float = 0.0
    _growth: Growth = field(default_factory=Growth)

    def __post_init__(self) -> None:
        self.rate = self.allowed

    def allow(self, requests_per_s: float) -> None:
        """Another allowed rate."""
        self.allowed = self.rate = requests_per_s

    def turn(self, now: float) -> float:
        """Take the next turn; returns the seconds until it comes."""
        self._next_at = max(self._next_at, now - _BURST_S, self.open_at)
        wait = max(0.0, self._next_at - now)
        self._next_at += 1 / self.rate
        return wait

    def succeeded(self, epoch: int, now: float, *, full: bool, moved: int = 0) -> None:
        """A request went well; ``full``: as many were under way as the limit lets.

        Args:
            moved: bytes since the last success, for the growth check.
        """
        if epoch != self.epoch:
            return
        idle = now - self._regained_at
        self._regained_at = now
        self.rate = min(self.allowed, self.rate + self.allowed * _REGAIN * min(idle, 1.0))
        if not full:
            return
        self._successes += 1
        window = self._successes >= self.limit
        before = self.limit
        self.limit = self._growth.next_limit(before, now, moved, window=window)
        if window or self.limit != before:
            self._successes = 0

    def throttled(self, epoch: int, now: float, pause_s: float) -> bool:
        """The place asked for less; returns whether this was news."""
        if epoch != self.epoch:
            return False
        self.epoch += 1
        self.limit = max(1, int(self.limit * CUT))
        self.rate = max(self.allowed * _LEAST_RATE, self.rate * CUT)
        self.open_at = max(self.open_at, now + pause_s)
        self._next_at = self.open_at  # turns that were given out are taken back
        self._successes, self._regained_at = 0, self.open_at
        self._growth.restart(self.limit)
        return True
