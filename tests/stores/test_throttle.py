"""The gate that all requests to one place pass, and the retries behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from trainset.errors import (
    InputError,
    ReplyLost,
    SourceChanged,
    StaleSignature,
    Throttled,
    TransientError,
)
from trainset.model import StoreOptions
from trainset.stores.retry import Retrier
from trainset.stores.throttle import Gate, shared_gate


class Clock:
    """Simulated time that threads share: each sleep lets it pass."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def gate_and_clock(requests_per_s: float = 1e6) -> tuple[Gate, Clock]:
    clock = Clock()
    return Gate(requests_per_s, clock=clock, sleep=clock.sleep), clock


def failing(*errors: Exception) -> Callable[[], str]:
    """A request that meets these errors, one an attempt, and then goes well."""
    left = list(errors)

    def request() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return request


def test_one_retry_after_holds_back_every_request() -> None:
    gate, clock = gate_and_clock()
    first, second = gate.acquire(), gate.acquire()
    gate.throttled(first, 5.0)
    gate.throttled(second, 5.0)
    gate.release(gate.acquire(), succeeded=True)
    assert clock.now == pytest.approx(5.0)
    gate.release(gate.acquire(), succeeded=True)
    assert clock.now == pytest.approx(5.0, abs=0.01)  # not a pause for each


def test_requests_leave_at_the_allowed_rate() -> None:
    gate, clock = gate_and_clock(100)
    for _ in range(301):
        gate.release(gate.acquire(), succeeded=True)
    assert clock.now == pytest.approx(3.0, abs=0.06)  # the burst: 0.05 s of the rate


def test_no_more_are_under_way_than_the_limit() -> None:
    gate = Gate(1e6)
    lock = threading.Lock()
    under_way, most, ended = 0, 0, 0

    def work() -> None:
        nonlocal under_way, most, ended
        ticket = gate.acquire()
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.01)
        with lock:
            under_way -= 1
            ended += 1
        gate.release(ticket, succeeded=False)

    threads = [threading.Thread(target=work) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most <= gate.limit == 32
    assert ended == 100


def test_threads_that_wait_sleep_and_do_not_poll() -> None:
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        time.sleep(seconds)

    gate = Gate(1e6, sleep=sleep)
    gate.throttled(gate.acquire(), 0.3)
    threads = [
        threading.Thread(target=lambda: gate.release(gate.acquire(), succeeded=True))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert 1 <= len(sleeps) <= 2 * len(threads)


def test_a_request_within_a_request_does_not_wait_for_itself() -> None:
    gate, _ = gate_and_clock()
    for _ in range(20):
        gate.throttled(gate.acquire(), 0.0)
    assert gate.limit == 1
    retrier = Retrier(gate=gate)
    assert retrier.call(lambda: retrier.call(lambda: "body")) == "body"
    assert gate.acquire().slot  # the slot is free again


def test_throttling_uses_up_no_attempts() -> None:
    gate, clock = gate_and_clock()
    retrier = Retrier(attempts=2, gate=gate, sleep=clock.sleep)
    refusals = [Throttled("slow", retry_after_s=2.0)] * 30
    assert retrier.call(failing(*refusals, TransientError("reset"))) == "done"
    assert clock.now >= 60


def test_a_refusal_that_names_no_time_pauses_for_a_second() -> None:
    gate, clock = gate_and_clock()
    Retrier(gate=gate).call(failing(Throttled("slow")))
    assert clock.now == pytest.approx(1.0)


def test_passing_faults_wait_with_full_jitter_up_to_the_cap() -> None:
    gate, clock = gate_and_clock()
    renewed: list[int] = []
    retrier = Retrier(gate=gate, sleep=clock.sleep, renew=lambda: renewed.append(1))
    assert retrier.call(failing(*[TransientError("reset")] * 7)) == "done"
    assert len(clock.slept) == len(renewed) == 7
    assert all(s <= 2.0**n for n, s in enumerate(clock.slept))
    with pytest.raises(TransientError, match="last"):
        retrier.call(failing(*[TransientError("reset")] * 7, TransientError("last")))


def test_a_passing_fault_holds_nobody_else_back() -> None:
    gate, clock = gate_and_clock()
    with pytest.raises(TransientError):
        Retrier(attempts=1, gate=gate).call(failing(TransientError("no tomes")))
    gate.acquire()
    assert clock.now == pytest.approx(0, abs=0.001)
    assert gate.limit == 32


def test_a_lost_reply_is_looked_for_before_it_is_sent_again() -> None:
    retrier = Retrier(base_s=0.001)
    assert retrier.call(failing(ReplyLost("reset")), found=lambda: "there") == "there"


def test_a_stale_signature_is_signed_again_once() -> None:
    stale = StaleSignature("too old; set the clock")
    assert Retrier().call(failing(stale)) == "done"
    with pytest.raises(StaleSignature):
        Retrier().call(failing(stale, stale))


@pytest.mark.parametrize("err", [SourceChanged("k"), InputError("bad key; mend it")])
def test_what_would_end_the_same_way_is_not_tried_again(err: Exception) -> None:
    with pytest.raises(type(err)):
        Retrier().call(failing(err))


def test_every_end_of_a_request_gives_its_slot_back() -> None:
    gate, clock = gate_and_clock()
    for err in (InputError("x"), KeyboardInterrupt(), Throttled("slow"), TransientError("y")):
        with pytest.raises(type(err)):
            Retrier(attempts=1, throttle_s=0, gate=gate).call(failing(err))  # type: ignore[arg-type]
    tickets = []
    for _ in range(gate.limit):
        thread = threading.Thread(target=lambda: tickets.append(gate.acquire()))
        thread.start()
        thread.join(5)
    assert len(tickets) == gate.limit
    assert clock.now > 0


def test_stores_of_one_endpoint_and_key_share_a_gate() -> None:
    asked = StoreOptions(requests_per_s=50, bandwidth="1MB/s")
    gate = shared_gate("https://one.example", "key", asked)
    assert shared_gate("https://one.example", "key", StoreOptions()) is gate
    assert gate.requests_per_s == 50  # the defaults of another store lift nothing
    shared_gate("https://one.example", "key", StoreOptions(requests_per_s=80))
    assert gate.requests_per_s == 80
    assert shared_gate("https://one.example", "other", asked) is not gate
    assert shared_gate("https://two.example", "key", asked) is not gate
    with pytest.raises(InputError, match="fast"):
        shared_gate("https://three.example", "key", StoreOptions(bandwidth="fast"))
