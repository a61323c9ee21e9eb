"""WebVTT: cues with voices; notes, styles and regions are passed over, tags are taken out.

Source: https://www.w3.org/TR/webvtt1/
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from trainset.metadata.labels.cues import ARROW, BadCue, Cue, timing
from trainset.metadata.records import BadRecord

_PASSED = re.compile(r"(?:NOTE|STYLE|REGION)(?:[ \t].*)?")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]+([^>]*)>")
_TAG = re.compile(r"<[^>]*>")


def read_cues(text: str) -> Iterator[Cue | BadCue]:
    """The cues in their order; one with several voices gives one each, at the same times."""
    for number, block in _blocks(text):
        at = next((i for i, line in enumerate(block[:2]) if ARROW in line), None)
        if at is None and _PASSED.fullmatch(block[0]):
            continue
        original = "\n".join(block)
        where = f"line {number}"
        if at is None:
            fault = BadRecord("bad-timing", "the block has no timing line in its first two lines")
            yield BadCue(where, fault, original)
            continue
        try:
            start, end, settings = timing(block[at])
        except BadRecord as bad:
            yield BadCue(where, bad, original)
            continue
        facts = {"cue": block[0]} if at == 1 else {}
        facts |= {"position": settings} if settings else {}
        for speaker, said in _voices("\n".join(block[at + 1 :])):
            more = {"speaker": speaker} if speaker else {}
            yield Cue(start, end, said, original, facts | more)


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Blocks between blank lines after the header block, with the number of their first line.

    A timing line amid a block begins another one: the blank line before it was forgotten.
    """
    lines = text.lstrip("\ufeff").splitlines()
    block: list[str] = []
    header = True
    for i, line in enumerate([*lines, ""], 1):
        if header:
            header = bool(line.strip())  # WEBVTT and what follows it
        elif not line.strip():
            if block:
                yield i - len(block), block
            block = []
        elif ARROW in line and any(ARROW in before for before in block):
            yield i - len(block), block
            block = [line]
        else:
            block.append(line)


def _voices(payload: str) -> list[tuple[str | None, str]]:
    """Who says what; words before the first voice are nobody's."""
    parts = _VOICE.split(payload)
    said: list[tuple[str | None, str]] = [(None, _plain(parts[0]))]
    said += [
        (html.unescape(name).strip(), _plain(words))
        for name, words in zip(parts[1::2], parts[2::2], strict=True)
    ]
    return [(name, words) for name, words in said if words or name] or [(None, "")]


def _plain(words: str) -> str:
    return html.unescape(_TAG.sub("", words)).strip()
