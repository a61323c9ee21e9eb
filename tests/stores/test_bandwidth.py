"""The bandwidth limit: its words, its timetable, and what it lets through."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainset.errors import InputError, SpecError
from trainset.spec import parse_spec
from trainset.stores.bandwidth import ByteBucket, Timetable, parse_bandwidth
from trainset.stores.throttle import Gate

NOON = datetime(2026, 3, 2, 12, 0)


class Clock:
    """Simulated time: sleeping is what makes it pass."""

    def __init__(self, wall: datetime = NOON) -> None:
        self.now, self._start = 0.0, wall

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def wall(self) -> datetime:
        return self._start + timedelta(seconds=self.now)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("50MB/s", 50e6),
        ("800Mbit/s", 100e6),
        ("1.5 GiB/s", 1.5 * 2**30),
        ("64 kB/s", 64_000),
        ("off", math.inf),
    ],
)
def test_one_rate_holds_all_day(text: str, rate: float) -> None:
    assert parse_bandwidth(text).at(12_345.0) == (rate, math.inf)


def test_a_timetable_goes_on_over_midnight() -> None:
    table = parse_bandwidth("18:00 off, 08:00 10MB/s")
    hour = 3600.0
    assert table.at(8 * hour) == (10e6, 10 * hour)
    assert table.at(23 * hour) == (math.inf, 9 * hour)
    assert table.at(7 * hour) == (math.inf, 1 * hour)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("fast", "fast"),
        ("50MB", "50MB"),
        ("0MB/s", "0MB/s"),
        ("50MB/s, 18:00 off", "50MB/s"),
        ("08:00 10MB/s, 25:00 off", "25:00 off"),
        ("08:00 10MB/s, 08:00 off", "08:00 off"),
        ("08:00 10MB/s, 18:00 of", "of"),
        ("", ""),
    ],
)
def test_a_bad_word_is_named(text: str, word: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_bandwidth(text)
    assert repr(word) in str(caught.value)
    assert "50MB/s" in str(caught.value)
    spec = {"name": "d", "home": "h", "media": [{"name": "m", "from": "/m"}]}
    with pytest.raises(SpecError, match=r"transfer\.bandwidth") as refused:
        parse_spec(
            {**spec, "transfer": {"bandwidth": text}},
            folder=Path("/"),
        )
    assert repr(word) in str(refused.value)


@given(
    rate=st.integers(1_000, 10**8),
    blocks=st.lists(
        st.tuples(st.integers(0, 60_000), st.floats(0, 3, allow_subnormal=False)),
        min_size=1,
        max_size=60,
    ),
)
def test_no_window_passes_more_than_its_rate_and_one_burst(
    rate: int, blocks: list[tuple[int, float]]
) -> None:
    clock = Clock()
    gate = Gate(bandwidth=f"{rate}B/s", clock=clock, sleep=clock.sleep, wall=clock.wall)
    passed: list[tuple[float, int]] = []
    for size, idle in blocks:
        clock.now += idle
        gate.pace(size)
        passed.append((clock.now, size))
    burst = max(64 * 1024, 0.1 * rate)
    for first in range(len(passed)):
        total = 0
        for at, size in passed[first:]:
            total += size
            assert total <= rate * (at - passed[first][0]) * 1.000001 + burst + 1


def test_bytes_that_wait_in_a_queue_pass_in_order_at_the_rate() -> None:
    bucket = ByteBucket(Timetable(((0.0, 1e6),)), now=0, wall=NOON)
    marks = [bucket.add(500_000, now=0, wall=NOON) for _ in range(4)]
    waits = [bucket.wait(mark, now=0, wall=NOON) for mark in marks]
    assert waits == pytest.approx([0.4, 0.9, 1.4, 1.9])  # 0.1 s is the burst


def test_an_idle_time_saves_up_one_burst_only() -> None:
    clock = Clock()
    gate = Gate(bandwidth="1MB/s", clock=clock, sleep=clock.sleep, wall=clock.wall)
    clock.now = 3600
    gate.pace(1_100_000)
    assert clock.now == pytest.approx(3601)


def test_the_timetable_changes_the_rate_at_its_moment() -> None:
    clock = Clock(datetime(2026, 3, 2, 17, 59, 50))
    gate = Gate(bandwidth="08:00 1MB/s, 18:00 off", clock=clock, sleep=clock.sleep, wall=clock.wall)
    for _ in range(50):
        gate.pace(1_000_000)  # 50 s at this rate: the limit falls after 10
    assert clock.now == pytest.approx(10, abs=0.01)
    clock.now += 14 * 3600  # 08:00 and a little
    start = clock.now
    for _ in range(5):
        gate.pace(1_000_000)
    assert clock.now - start == pytest.approx(4.9, abs=0.01)


def test_what_waits_already_heeds_a_new_limit() -> None:
    clock = Clock()
    gate = Gate(bandwidth="1kB/s", clock=clock, sleep=clock.sleep, wall=clock.wall)

    def sleep(seconds: float) -> None:
        clock.now += seconds
        gate.set_bandwidth("1MB/s")

    gate._sleep = sleep
    gate.pace(10_000_000)
    assert clock.now < 45  # by the old limit: nearly 3 hours
