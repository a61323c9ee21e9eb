"""SubRip (SRT): numbered cues with a timing line.

Cues are found by their timing lines, good or bad: a bad one ends the cue before it and is told,
where a lenient parser would take it for words of that cue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from trainset.metadata.labels.cues import ARROW, BadCue, Cue, looks_like_timing, timing
from trainset.metadata.records import BadRecord

_MARKUP = re.compile(r"</?(?:[biu]|font\b[^>]*)>|\{\\[^}]*\}", re.IGNORECASE)


def is_srt(text: str) -> bool:
    """Whether there is a timing line, good or bad."""
    return ARROW in text or bool(_headers(text.splitlines()))


def read_cues(text: str) -> Iterator[Cue | BadCue]:
    """The cues in their order."""
    lines = text.lstrip("\ufeff").splitlines()
    headers = _headers(lines)
    first = headers[0][0] if headers else len(lines)
    if any(line.strip() for line in lines[:first]):
        stray = BadRecord("bad-record", "words before the first timing line")
        yield BadCue("line 1", stray, "\n".join(lines[:first]))
    for (start, at), (end, _) in zip(headers, [*headers[1:], (len(lines), 0)], strict=False):
        original = "\n".join(lines[start:end]).rstrip()
        try:
            begins, finishes, rest = timing(lines[at])
        except BadRecord as fault:
            yield BadCue(f"line {at + 1}", fault, original)
            continue
        said = "\n".join(lines[at + 1 : end]).strip()
        facts = {"position": rest} if rest else {}
        yield Cue(begins, finishes, _MARKUP.sub("", said), original, facts)


def _headers(lines: list[str]) -> list[tuple[int, int]]:
    """Where cues begin, and their timing lines, good or bad.

    A line with an arrow is one, unless it stands amid words and has no digit; so is a line without
    an arrow below a number that stands alone, when it reads like times or when the number is the
    next in turn: there a timing line is missing.
    """
    found: list[tuple[int, int]] = []
    last = 0  # number of the last cue
    for i, line in enumerate(lines):
        above = lines[i - 1].strip() if i else ""
        numbered = above.isdecimal() and not (found and found[-1][1] == i - 1)
        alone = numbered and (i < 2 or not lines[i - 2].strip())
        if ARROW in line:
            meant = numbered or not above or any(c.isdecimal() for c in line)
        else:
            meant = alone and bool(line.strip())
            meant = meant and (looks_like_timing(line) or int(above) == last + 1)
        if meant:
            found.append((i - 1 if numbered else i, i))
            last = int(above) if numbered else last
    return found
