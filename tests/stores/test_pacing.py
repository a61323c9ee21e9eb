"""The request rate and the requests at once, against servers in simulated time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from trainset.stores.pacing import CEILING, START, Pacing


@dataclass
class Server:
    """Answers after ``latency_s(under way)``, or refuses.

    Attributes:
        rate, burst: requests/s that it takes, and how many it lets run ahead.
        room: requests at once that it takes.
    """

    latency_s: Callable[[int], float]
    rate: float = 1e9
    burst: float = 1e9
    room: int = 10**9
    saved: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.saved = self.burst

    def takes(self, now: float, under_way: int) -> bool:
        self.saved = min(self.burst, self.saved + (now - self.at) * self.rate)
        self.at = now
        if self.saved < 1 or under_way > self.room:
            return False
        self.saved -= 1
        return True


def simulate(pacing: Pacing, server: Server, *, workers: int, seconds: float) -> list[float]:
    """Times (s) of the successes; ``pacing.epoch`` counts the episodes of refusals."""
    done: list[float] = []
    events: list[tuple[float, int, str, int]] = []  # (when, tie, what, epoch)
    now, tie, waiting, under_way, at_server = 0.0, 0, workers, 0, 0

    def push(when: float, what: str, epoch: int) -> None:
        nonlocal tie
        tie += 1
        heapq.heappush(events, (when, tie, what, epoch))

    while now < seconds:
        while waiting and under_way < pacing.limit:
            waiting, under_way = waiting - 1, under_way + 1
            push(now + pacing.turn(now), "leave", pacing.epoch)
        now, _, what, epoch = heapq.heappop(events)
        if what == "leave" and epoch != pacing.epoch:
            push(now + pacing.turn(now), "leave", pacing.epoch)  # a pause voided the turn
        elif what == "leave":
            at_server += 1
            taken = server.takes(now, at_server)
            push(now + server.latency_s(at_server), "taken" if taken else "refused", epoch)
        else:
            if what == "taken":
                done.append(now)
                full = under_way >= pacing.limit
                pacing.succeeded(epoch, now, full=full, moved=50_000)
            else:
                pacing.throttled(epoch, now, 1.0)
            at_server, under_way, waiting = at_server - 1, under_way - 1, waiting + 1
    return done


def test_the_rate_finds_what_the_server_takes() -> None:
    pacing = Pacing(450)
    server = Server(latency_s=lambda n: 0.01, rate=100, burst=20)
    done = simulate(pacing, server, workers=64, seconds=120)
    late = [at for at in done if at > 20]
    assert 65 < len(late) / 100 <= 101  # of 100 requests/s
    assert pacing.epoch < 30  # pauses in two minutes


def test_requests_at_once_find_what_the_server_takes() -> None:
    pacing = Pacing(10_000)
    server = Server(latency_s=lambda n: 0.2, room=20)
    done = simulate(pacing, server, workers=200, seconds=120)
    assert 10 <= pacing.limit <= 21
    late = [at for at in done if at > 20]
    assert 60 < len(late) / 100 <= 100  # 20 at once of 0.2 s are 100 a second


def test_a_server_without_limits_gets_all_that_is_allowed() -> None:
    pacing = Pacing(450)
    done = simulate(pacing, Server(latency_s=lambda n: 0.05), workers=200, seconds=30)
    assert len(done) / 30 > 0.95 * 450
    assert pacing.epoch == 0


def test_a_far_server_gets_more_requests_at_once() -> None:
    pacing = Pacing(10_000)
    simulate(pacing, Server(latency_s=lambda n: 0.3), workers=500, seconds=120)
    assert pacing.limit == CEILING


def test_more_at_once_is_taken_back_when_no_more_comes_through() -> None:
    """A bandwidth cap sends no 503: 40 at once fill the line, more only wait longer."""
    pacing = Pacing(10_000)
    server = Server(latency_s=lambda n: 0.2 * max(1.0, n / 40))
    simulate(pacing, server, workers=500, seconds=300)
    assert START <= pacing.limit <= 56
    free = Pacing(10_000)  # the same without the cap: the test can fail
    simulate(free, Server(latency_s=lambda n: 0.2), workers=500, seconds=300)
    assert free.limit == CEILING


def test_many_refusals_of_one_episode_count_once() -> None:
    pacing = Pacing(450, limit=100)
    assert pacing.throttled(0, 1.0, 2.0)
    assert not any(pacing.throttled(0, 1.0 + i / 100, 60.0) for i in range(63))
    assert (pacing.limit, pacing.open_at) == (70, 3.0)
    assert pacing.throttled(1, 3.5, 1.0)
    assert pacing.limit == 49


def test_the_limit_never_falls_below_one() -> None:
    pacing = Pacing(450)
    for epoch in range(50):
        pacing.throttled(epoch, float(epoch), 1.0)
    assert pacing.limit == 1
    assert pacing.rate > 0


def test_successes_that_left_before_a_cut_do_not_grow_the_limit() -> None:
    pacing = Pacing(450)
    pacing.throttled(0, 0.0, 1.0)
    limit, rate = pacing.limit, pacing.rate
    for i in range(1000):
        pacing.succeeded(0, 1.0 + i, full=True)
    assert (pacing.limit, pacing.rate) == (limit, rate)


def test_after_a_pause_requests_do_not_leave_all_at_once() -> None:
    pacing = Pacing(100)
    pacing.throttled(0, 0.0, 1.0)
    turns = [pacing.turn(0.5) for _ in range(8)]
    assert turns[0] == 0.5
    gaps = [b - a for a, b in pairwise(turns)]
    assert min(gaps) > 0.9 / pacing.rate
