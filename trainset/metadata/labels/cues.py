"""A cue of subtitles, and its timing line, as strict as the formats are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from trainset.metadata.records import BadRecord

ARROW = "-->"
_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_LINE = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s+(\S.*))?\s*")
_LOOSE = re.compile(r"\s*\d{1,4}\s*:\s*\d{1,2}\b.*\d\s*:\s*\d{1,2}")


@dataclass(frozen=True)
class Cue:
    """One stretch of speech; ``original`` as the file has it."""

    start_s: float
    end_s: float
    text: str
    original: Any
    facts: dict[str, Any] = field(default_factory=dict)  # speaker, style, words …


@dataclass(frozen=True)
class BadCue:
    """A part of a file that should be a cue and is not."""

    where: str
    fault: BadRecord
    original: Any


Cues = Iterator[Cue | BadCue]


def timing(line: str) -> tuple[float, float, str]:
    """Start and end in seconds, and what follows them on the line.

    Hours may be left out; a comma and a point are both taken.

    Raises:
        BadRecord: it is no timing line, or its times cannot be.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadRecord(
            "bad-timing",
            f"{line.strip()[:60]!r} is no timing line; write 00:00:01,000 --> 00:00:02,000",
        )
    start, end = _seconds(*found.groups()[:4]), _seconds(*found.groups()[4:8])
    if end < start:
        raise BadRecord("bad-timing", f"it ends at {end:g} s, before its start at {start:g} s")
    return start, end, (found[9] or "").strip()


def looks_like_timing(line: str) -> bool:
    """Whether a line was meant to say when: it has an arrow, or two times."""
    return ARROW in line or _LOOSE.match(line) is not None


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    if int(minutes) > 59 or int(seconds) > 59:
        raise BadRecord("bad-timing", f"there is no time {hours or 0}:{minutes}:{seconds}")
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    return (whole * 1000 + int(fraction.ljust(3, "0"))) / 1000
