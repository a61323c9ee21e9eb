"""What goes wrong between a client and B2, on demand and repeatable."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

_SHARES = (
    "slow_down",
    "reset",
    "lost_reply",
    "internal_error",
    "flip",
    "lost_complete",
    "cap_exceeded",
)


@dataclass
class Faults:
    """Shares (0 to 1) of requests that go wrong; drawn from ``seed``, so a test can repeat.

    ``methods``: only these. ``limit``: no more faults than that, over all kinds.

    Attributes:
        slow_down: 503 SlowDown, with ``retry_after`` if it is set.
        reset: the connection breaks before the request counts.
        lost_reply: the connection breaks after it counted.
        internal_error: 500, and the request does not count.
        flip: one bit of a PUT's body changes on its way to the server.
        lost_complete: of CompleteMultipartUpload only, the reply is lost after it counted.
        cap_exceeded: 403 to writes, as B2 says it when the account's storage cap is reached.
        requests_per_s: a real limit with one second's worth saved up: over it, 503 SlowDown with
            ``retry_after`` (1 s unless set). Not counted in ``injected``, but in ``limited``.
        slow: seconds that every request takes more.
        injected, kinds: how many there were, and of which kind.
    """

    slow_down: float = 0.0
    retry_after: str | None = None
    reset: float = 0.0
    lost_reply: float = 0.0
    internal_error: float = 0.0
    flip: float = 0.0
    lost_complete: float = 0.0
    cap_exceeded: float = 0.0
    requests_per_s: float | None = None
    slow: float = 0.0
    methods: frozenset[str] = frozenset({"GET", "HEAD", "PUT", "POST"})
    limit: int = 10**9
    seed: int = 0
    injected: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    limited: int = 0
    _random: random.Random = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _saved: float = field(init=False)
    _saved_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._saved = self.requests_per_s or 0.0

    def draw(self, method: str, query: str = "", size: int = 0) -> str | None:
        """The fault that this request (with ``size`` bytes of body) meets, None for none."""
        with self._lock:
            if self.requests_per_s is not None and not self._admitted(self.requests_per_s):
                self.limited += 1
                return "limited"
            if method not in self.methods or self.injected >= self.limit:
                return None
            number = self._random.random()
            for kind in _SHARES:
                share = float(getattr(self, kind))
                if not _meets(kind, method, query, size):
                    continue
                if number < share:
                    self.injected += 1
                    self.kinds[kind] += 1
                    return kind
                number -= share
            return None

    def _admitted(self, rate: float) -> bool:
        now = time.monotonic()
        self._saved = min(rate, self._saved + (now - self._saved_at) * rate)
        self._saved_at = now
        if self._saved < 1:
            return False
        self._saved -= 1
        return True


def flipped(body: bytes) -> bytes:
    """``body`` with one bit in its middle changed."""
    at = len(body) // 2
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def _meets(kind: str, method: str, query: str, size: int) -> bool:
    if kind == "flip":
        return method == "PUT" and size > 0
    if kind == "lost_complete":
        return method == "POST" and "uploadId=" in query
    if kind == "cap_exceeded":
        return method in ("PUT", "POST")
    return True
