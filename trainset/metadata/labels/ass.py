"""ASS and SSA (SubStation Alpha), read by pysubs2; lines that it would drop are told before."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trainset.errors import InputError
from trainset.metadata.labels.cues import BadCue, Cue
from trainset.metadata.records import BadRecord

_EVENT = re.compile(r"\s*(Dialogue|Comment)\s*:(.*)", re.IGNORECASE)
_TIME = re.compile(r"\s*\d{1,2}:[0-5]\d:[0-5]\d[.:]\d{1,3}\s*")


def is_ass(start: str) -> bool:
    """Whether a text begins as the format does."""
    return start[:200].lower().startswith("[script info]") or "[Events]" in start[:4096]


def read_cues(text: str, place: str) -> Iterator[Cue | BadCue]:
    """The dialogue in its order; comments are not said and are passed over.

    Raises:
        InputError: pysubs2 is not there, or cannot read the file.
    """
    try:
        import pysubs2
    except ImportError as err:
        raise InputError(f"{place}: ASS needs pysubs2; install trainset[labels]") from err

    good: list[str] = []
    spoken: list[str] = []
    for i, line in enumerate(text.splitlines(), 1):
        event = _EVENT.fullmatch(line)
        if event is None:
            good.append(line)
        elif event[1].lower() == "dialogue":
            if (fault := _fault(event[2])) is not None:
                yield BadCue(f"line {i}", fault, line)
            else:
                good.append(line)
                spoken.append(line)
    try:
        subs = pysubs2.SSAFile.from_string("\n".join(good))
    except (pysubs2.exceptions.Pysubs2Error, ValueError) as err:
        raise InputError(f"{place}: no ASS that can be read ({err}); export it again") from err
    if len(subs.events) != len(spoken):
        raise InputError(
            f"{place}: {len(spoken)} lines of dialogue but {len(subs.events)} under [Events]; "
            "move them there, below its Format line"
        )
    for cue, line in zip(subs.events, spoken, strict=True):
        facts = {"speaker": cue.name} if cue.name.strip() else {}
        facts |= {"style": cue.style} if cue.style != "Default" else {}
        yield Cue(cue.start / 1000, cue.end / 1000, cue.plaintext.strip(), line, facts)


def _fault(fields: str) -> BadRecord | None:
    """What is wrong in a line of dialogue: its start and end are its second and third cells."""
    cells = fields.split(",", 9)
    if len(cells) < 10:
        return BadRecord("bad-row", f"a line of dialogue has 10 cells, this has {len(cells)}")
    for cell in cells[1:3]:
        if _TIME.fullmatch(cell) is None:
            return BadRecord("bad-timing", f"{cell.strip()[:60]!r} is no time; write 0:00:01.00")
    if _seconds(cells[2]) < _seconds(cells[1]):
        return BadRecord("bad-timing", f"it ends at {cells[2].strip()}, before its start")
    return None


def _seconds(time: str) -> tuple[int, ...]:
    hours, minutes, rest = time.strip().split(":", 2)
    whole, _, fraction = rest.replace(":", ".").partition(".")
    return int(hours), int(minutes), int(whole), int(fraction.ljust(3, "0"))
