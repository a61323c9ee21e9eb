"""What failed for a passing reason is tried again before the run ends; bounded, and balanced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from trainset.errors import TransientError
from trainset.spec_media import IN_FLIGHT_BYTES
from trainset.transfer.base import Outcome, SourceFile, deferred, failed
from trainset.transfer.claims import ByteBudget, shared_lanes
from trainset.transfer.set_aside import PASSES_S, Aside, may_pass, set_aside, try_again

AT = datetime(2026, 11, 22, tzinfo=UTC)


def file(name: str, version: str = "1") -> SourceFile:
    return SourceFile(
        key=f"cam/{name}",
        source="cam",
        path=name,
        uri=f"/src/{name}",
        size=3,
        version=version,
        modified=AT,
    )


def waits(name: str) -> Outcome:
    return deferred(file(name), "transient", "down").model_copy(update={"duration_ms": 5})


class Time:
    """A clock that goes on by its sleeps alone."""

    def __init__(self) -> None:
        self.now, self.slept = AT, list[float]()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


def run(
    asides: Sequence[Aside], answers: Sequence[str], *, minutes: float = 60.0
) -> tuple[list[Outcome], Time, list[str]]:
    """Try again; each pass's answer is "sent", "failed", "waits" or "down" for all its files."""
    time, asked, rest = Time(), list[str](), iter(answers)

    def send(files: Sequence[SourceFile]) -> list[Outcome]:
        answer = next(rest)
        asked.append(answer)
        if answer == "down":
            raise TransientError("nothing answers")
        return [
            waits(f.path)
            if answer == "waits"
            else failed(f, "input", "no")
            if answer == "failed"
            else Outcome(file=f, status="sent", sha256="ab", uri="media/ab")
            for f in files
        ]

    ended = try_again(
        asides,
        send,
        refresh=lambda f: None if f.path == "gone" else file(f.path, "2"),
        give_up_at=AT + timedelta(minutes=minutes),
        clock=lambda: time.now,
        sleep=time.sleep,
    )
    return ended, time, asked


def test_a_file_that_passes_at_the_second_try_is_sent() -> None:
    ended, time, asked = run([set_aside(waits(n), at=AT) for n in "ab"], ["waits", "sent"])
    assert asked == ["waits", "sent"]
    assert [(o.file.path, o.status, o.attempts) for o in ended] == [
        ("a", "sent", 3),
        ("b", "sent", 3),
    ]
    assert ended[0].duration_ms == 10
    for slept, pause in zip(time.slept, PASSES_S, strict=False):
        assert pause / 2 <= slept <= pause


def test_what_never_passes_is_deferred_after_a_bounded_time() -> None:
    ended, time, asked = run([set_aside(waits("a"), at=AT)], ["waits"] * 99)
    assert len(asked) == len(PASSES_S)
    assert [(o.status, o.attempts) for o in ended] == [("deferred", 1 + len(PASSES_S))]
    assert sum(time.slept) <= sum(PASSES_S)
    ended, time, asked = run([set_aside(waits("a"), at=AT)], [], minutes=0)
    assert (asked, time.slept, [o.status for o in ended]) == ([], [], ["deferred"])


def test_a_place_that_is_down_ends_a_pass_and_no_run() -> None:
    ended, _, asked = run([set_aside(waits("a"), at=AT)], ["down", "failed"])
    assert asked == ["down", "failed"]
    assert [(o.status, o.attempts) for o in ended] == [("failed", 2)]


def test_a_file_that_changed_is_looked_at_again_after_its_least_age() -> None:
    changed = deferred(file("a"), "source-changed", "it changed")
    gone = deferred(file("gone"), "source-changed", "it changed")
    late = set_aside(changed, at=AT, min_age=timedelta(minutes=10))
    assert late.next_try_at == AT + timedelta(minutes=10)
    ended, time, _ = run([late, set_aside(gone, at=AT)], ["sent"])
    assert {(o.file.path, o.status, o.file.version) for o in ended} == {
        ("a", "sent", "2"),
        ("gone", "deferred", "1"),
    }
    assert sum(time.slept) == 600


@pytest.mark.parametrize("kind", ["too-young", "not-found", "busy"])
def test_what_another_try_cannot_help_is_not_set_aside(kind: str) -> None:
    assert not may_pass(deferred(file("a"), kind, "so it is"))
    assert not may_pass(failed(file("a"), "transient", "given up"))


def test_a_lower_limit_of_bytes_in_flight_holds_up_nobody_for_ever() -> None:
    budget = ByteBudget(100)
    with budget.hold(100):
        budget.allow(10)
    with budget.hold(100):  # alone, however large
        budget.allow(200)
        with budget.hold(150):
            pass
    assert shared_lanes().memory._limit <= IN_FLIGHT_BYTES
