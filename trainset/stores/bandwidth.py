"""How many bytes a second may pass: the words of the spec, a day's timetable, and the bucket."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime

from trainset.errors import InputError

DAY_S = 86_400.0
_BURST_S = 0.1  # of the rate
_LEAST_BURST = 64 * 1024  # bytes
_RATE = re.compile(
    r"(?P<number>\d+(?:\.\d+)?)\s*(?P<step>[kKMGT]?)(?P<two>i?)(?P<unit>B|bit)/s", re.ASCII
)
_AT = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d{2})\s+(?P<rate>.+)", re.ASCII)
_HOW = "write 50MB/s, 800Mbit/s or off, or a timetable of local times: 08:00 10MB/s, 18:00 off"


class BandwidthError(InputError):
    """A bandwidth that cannot be read; names the word."""

    kind = "spec"

    def __init__(self, word: str, reason: str) -> None:
        self.word = word
        super().__init__(f"bandwidth: {word!r} {reason}; {_HOW}")


@dataclass(frozen=True)
class Timetable:
    """Rates over the day, in bytes/s (``math.inf``: no limit).

    Attributes:
        changes: (seconds after local midnight, rate from then on), ascending. Before the first
            one the last of the day before holds.
    """

    changes: tuple[tuple[float, float], ...]

    def at(self, second: float) -> tuple[float, float]:
        """The rate at ``second`` of the day, and the seconds until the next change (> 0)."""
        later = bisect_right([start for start, _ in self.changes], second)
        rate = self.changes[later - 1][1]  # -1: the last of the day before
        if len(self.changes) == 1:
            return rate, math.inf
        if later < len(self.changes):
            return rate, self.changes[later][0] - second
        return rate, DAY_S + self.changes[0][0] - second


def parse_bandwidth(text: str) -> Timetable:
    """Read ``50MB/s``, ``800Mbit/s``, ``off``, or ``08:00 10MB/s, 18:00 off``.

    kMGT are steps of 1,000; with an ``i`` (``MiB/s``) of 1,024.

    Raises:
        BandwidthError: names the word that is wrong, and what can be written.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) == 1 and not _AT.fullmatch(words[0]):
        return Timetable(((0.0, _rate(words[0])),))
    found: dict[float, float] = {}
    for word in words:
        if (match := _AT.fullmatch(word)) is None:
            raise BandwidthError(word, "has no time of day before a rate")
        hour, minute = int(match["hour"]), int(match["minute"])
        if hour > 23 or minute > 59:
            raise BandwidthError(word, "is at no time of a day (00:00 to 23:59)")
        start = hour * 3600.0 + minute * 60.0
        if start in found:
            raise BandwidthError(word, "is the second rate for that time")
        found[start] = _rate(match["rate"].strip())
    return Timetable(tuple(sorted(found.items())))


def _rate(word: str) -> float:
    if word.lower() == "off":
        return math.inf
    if (match := _RATE.fullmatch(word)) is None:
        raise BandwidthError(word, "is no rate")
    step = 1024.0 if match["two"] else 1000.0
    rate = float(match["number"]) * step ** " KMGT".index(match["step"].upper() or " ")
    rate /= 8 if match["unit"] == "bit" else 1
    if rate < 1:
        raise BandwidthError(word, "lets nothing through")
    return rate


class ByteBucket:
    """Lets bytes through at the timetable's rate. Not safe to share: its owner locks. Pure.

    Bytes queue in the order of ``add``: those up to mark ``m`` may pass once the credit has reached
    ``m``. The credit grows with the rate, and runs ahead of what was asked for by one burst at
    most; so over any window of t seconds no more passes than rate * t + one burst (0.1 s of the
    rate, at least 64 KiB; or the largest block, if that is more).
    """

    def __init__(self, timetable: Timetable, *, now: float, wall: datetime) -> None:
        self._timetable = timetable
        self._asked = 0.0
        self._at = now
        self._rate, left = timetable.at(second_of_day(wall))
        self._change_at = now + left
        self._credit = self._burst()

    def add(self, count: int, *, now: float, wall: datetime) -> float:
        """Queue ``count`` bytes; returns their mark, for ``wait``."""
        self._advance(now, wall)
        self._asked += count
        return self._asked

    def wait(self, mark: float, *, now: float, wall: datetime) -> float:
        """Seconds after which to ask again; 0: the bytes up to ``mark`` may pass."""
        self._advance(now, wall)
        missing = mark - self._credit
        if missing <= 1e-6:
            return 0.0
        return min(missing / self._rate, max(self._change_at - now, 1e-3))

    def use(self, timetable: Timetable, *, now: float, wall: datetime) -> None:
        """Go on with another timetable; what waits, waits by the new rate."""
        self._advance(now, wall)
        self._timetable = timetable
        self._look(now, wall)

    def _burst(self) -> float:
        return max(_LEAST_BURST, _BURST_S * self._rate)

    def _advance(self, now: float, wall: datetime) -> None:
        """Earn the credit since the last call, by the rates that held meanwhile."""
        wall_s = second_of_day(wall)
        while now > self._change_at:
            change_at = self._change_at
            self._earn(change_at)
            self._rate, left = self._timetable.at((wall_s - (now - change_at)) % DAY_S)
            self._change_at = change_at + max(left, 1e-3)
        self._earn(now)
        self._look(now, wall)

    def _earn(self, until: float) -> None:
        passed = max(0.0, until - self._at)
        self._at = max(self._at, until)
        most = self._asked + self._burst()
        earned = self._credit + (self._rate * passed if passed else 0.0)
        self._credit = min(earned, most)

    def _look(self, now: float, wall: datetime) -> None:
        """The rate from now on by the wall clock, which may have been set meanwhile."""
        self._rate, left = self._timetable.at(second_of_day(wall))
        self._change_at = now + left
        self._credit = min(self._credit, self._asked + self._burst())
        if math.isinf(self._rate):
            self._credit = max(self._credit, self._asked)


def second_of_day(wall: datetime) -> float:
    """Seconds after midnight of a local time."""
    return wall.hour * 3600.0 + wall.minute * 60.0 + wall.second + wall.microsecond / 1e6
