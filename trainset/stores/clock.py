"""The clock that requests are signed by: this machine's, set right by what the server says.

Stores refuse signatures whose time is 15 minutes off. The refusal carries the server's time; all
threads and both senders of an endpoint sign by it from then on. Whatever else signs for itself
(Lance, say) still needs the machine's clock mended, so it is told in the log.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import lru_cache

_log = logging.getLogger(__name__)
_wall = time.time
_CLOSE_S = 2.0  # two answers that differ by less say the same


class ServerClock:
    """Seconds since the epoch as one endpoint counts them. Threads may share it."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint, self._lock = endpoint, threading.Lock()
        self.offset_s = 0.0

    def now(self) -> float:
        return _wall() + self.offset_s

    def learn(self, server_time: float | None) -> None:
        """Sign by the server's clock from now on.

        Args:
            server_time: when it answered; None: it did not say, then nothing changes.
        """
        if server_time is None:
            return
        offset = server_time - _wall()
        with self._lock:
            if abs(offset - self.offset_s) < _CLOSE_S:
                return
            self.offset_s = offset
        _log.warning(
            "this machine's clock is %.0f s %s that of %s: requests are signed by the server's; "
            "set the clock, e.g.: sudo timedatectl set-ntp true",
            abs(offset),
            "behind" if offset > 0 else "ahead of",
            self._endpoint,
        )


@lru_cache(maxsize=64)
def clock_of(endpoint: str) -> ServerClock:
    """The clock of an endpoint (``s3_client.normal_endpoint``), shared by this process."""
    return ServerClock(endpoint)
