"""One gate per destination: every request of this process to it passes here.

It bounds requests a second, requests at once and bytes a second, and holds all threads back
together while the store asks for a pause.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from trainset.model import StoreOptions
from trainset.stores.bandwidth import ByteBucket, parse_bandwidth
from trainset.stores.pacing import Pacing

REQUESTS_PER_S = 450.0  # B2 lets 500 through
_LONGEST_SLEEP_S = 30.0  # then the wall clock is looked at again: it may have been set


@dataclass(frozen=True)
class Ticket:
    """The right to one request; ``slot``: whether it counts among those at once."""

    epoch: int
    slot: bool


class Gate:
    """Holds requests and bytes back; safe to share. A waiting thread sleeps, and burns no CPU.

    Args:
        requests_per_s: at most, over all threads.
        bandwidth: as in the spec (``parse_bandwidth``); None: no limit. Raises BandwidthError.
        clock, sleep, wall: the monotonic clock (s), a sleep (s), and the local time of day.
    """

    def __init__(
        self,
        requests_per_s: float = REQUESTS_PER_S,
        bandwidth: str | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        wall: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._clock, self._sleep, self._wall = clock, sleep, wall
        self._lock = threading.Lock()
        self._free = threading.Condition(self._lock)
        self._mine = threading.local()  # .held: this thread has a slot
        self._pacing = Pacing(requests_per_s)
        self._bytes: ByteBucket | None = None
        self._in_flight = self._waiting = 0
        self._moved = 0
        self.set_bandwidth(bandwidth)

    @property
    def limit(self) -> int:
        """Requests that may be under way at once, now."""
        return self._pacing.limit

    @property
    def requests_per_s(self) -> float:
        """Requests a second that may leave now."""
        return self._pacing.rate

    def set_requests_per_s(self, requests_per_s: float) -> None:
        with self._lock:
            if requests_per_s != self._pacing.allowed:
                self._pacing.allow(requests_per_s)

    def set_bandwidth(self, bandwidth: str | None) -> None:
        """Another limit of bytes a second, also for those that wait already."""
        timetable = parse_bandwidth("off" if bandwidth is None else bandwidth)
        with self._lock:
            now, wall = self._clock(), self._wall()
            if self._bytes is not None:
                self._bytes.use(timetable, now=now, wall=wall)
            elif bandwidth is not None:
                self._bytes = ByteBucket(timetable, now=now, wall=wall)

    def acquire(self) -> Ticket:
        """Wait until a request may leave; ``release`` or ``throttled`` gives the ticket back.

        A request made while this thread has another under way (the body of an upload is read from
        the same place) waits for its turn only: were it to wait for a slot, it might wait for
        itself.
        """
        nested = getattr(self._mine, "held", False)
        if not nested:
            with self._lock:
                while self._in_flight >= self._pacing.limit:
                    self._waiting += 1
                    self._free.wait()
                    self._waiting -= 1
                self._in_flight += 1
            self._mine.held = True
        try:
            return Ticket(self._wait_for_turn(), not nested)
        except BaseException:
            self._give_back(not nested)
            raise

    def release(self, ticket: Ticket, *, succeeded: bool) -> None:
        """The request is over. A failure that is no throttling neither slows nor speeds up."""
        with self._lock:
            if succeeded:
                full = self._in_flight >= self._pacing.limit
                moved, self._moved = self._moved, 0
                self._pacing.succeeded(ticket.epoch, self._clock(), full=full, moved=moved)
        self._give_back(ticket.slot)

    def throttled(self, ticket: Ticket, pause_s: float) -> None:
        """The request was refused: all pause for ``pause_s`` seconds, and go on more slowly.

        Said by many requests that left before the first refusal came, it counts once.
        """
        with self._lock:
            self._pacing.throttled(ticket.epoch, self._clock(), pause_s)
        self._give_back(ticket.slot)

    def pace(self, count: int) -> None:
        """Wait until ``count`` bytes may pass; call it for each block (up to 1 MiB) of a body."""
        with self._lock:
            self._moved += count
            bucket = self._bytes
            if bucket is None:
                return
            mark = bucket.add(count, now=self._clock(), wall=self._wall())
        while True:
            with self._lock:
                wait = bucket.wait(mark, now=self._clock(), wall=self._wall())
            if wait <= 0:
                return
            self._sleep(min(wait, _LONGEST_SLEEP_S))

    def _wait_for_turn(self) -> int:
        """Returns the epoch in which the request leaves."""
        while True:
            with self._lock:
                wait = self._pacing.turn(self._clock())
                epoch = self._pacing.epoch
            if wait <= 0:
                return epoch
            self._sleep(wait)
            with self._lock:
                if self._pacing.epoch == epoch:
                    return epoch
            # A pause began while this thread waited: its turn is void.

    def _give_back(self, slot: bool) -> None:
        if not slot:
            return
        self._mine.held = False
        with self._lock:
            self._in_flight -= 1
            if self._waiting:
                self._free.notify()


_gates: dict[tuple[str, str], Gate] = {}
_gates_lock = threading.Lock()


def shared_gate(endpoint: str, key_id: str, options: StoreOptions) -> Gate:
    """The gate of one endpoint and key; all stores of this process that use both share it.

    Limits that ``options`` says itself count from now on, for all; its defaults change nothing. So
    a store that is opened aside, without options, does not lift what a dataset's spec asked for.
    """
    with _gates_lock:
        gate = _gates.get((endpoint, key_id))
        if gate is None:
            gate = Gate(options.requests_per_s, options.bandwidth)
            _gates[endpoint, key_id] = gate
            return gate
    if "requests_per_s" in options.model_fields_set:
        gate.set_requests_per_s(options.requests_per_s)
    if "bandwidth" in options.model_fields_set:
        gate.set_bandwidth(options.bandwidth)
    return gate
