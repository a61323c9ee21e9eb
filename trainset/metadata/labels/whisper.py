"""Whisper's JSON: ``segments`` (openai-whisper, faster-whisper, WhisperX) or whisper.cpp's
``transcription``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trainset.errors import InputError
from trainset.metadata.labels.cues import BadCue, Cue
from trainset.metadata.records import BadRecord, load_json, number

_TAKEN = ("start", "end", "text", "offsets", "timestamps", "id", "seek", "tokens")


def read_cues(text: str, place: str) -> Iterator[Cue | BadCue]:
    """The segments in their order; tokens are not kept, words with their times are.

    Raises:
        InputError: it is no JSON, or has no segments.
    """
    try:
        top = load_json(text)
    except ValueError as err:
        raise InputError(f"{place}: broken JSON ({err}); transcribe it again") from err
    top = {"segments": top} if isinstance(top, list) else top
    name = "transcription" if "transcription" in top else "segments"
    segments = top.get(name)
    if not isinstance(segments, list):
        raise InputError(
            f"{place}: no Whisper JSON, for it has no list 'segments' (or 'transcription'); "
            "say the file's format, or take it out of the source"
        )
    result = top.get("result")
    language = top.get("language") or (result.get("language") if isinstance(result, dict) else None)
    for i, segment in enumerate(segments):
        try:
            yield _cue(segment, language)
        except BadRecord as fault:
            yield BadCue(f"{name}[{i}]", fault, segment)


def _cue(segment: Any, language: Any) -> Cue:
    if not isinstance(segment, dict):
        raise BadRecord("bad-record", f"a segment is {type(segment).__name__}, not an object")
    if not isinstance(segment.get("text"), str):
        raise BadRecord("bad-record", "a segment has no text")
    if isinstance(offsets := segment.get("offsets"), dict):
        start, end = (number(offsets.get(n), n, fault="bad-timing") / 1000 for n in ("from", "to"))
    else:
        start, end = (number(segment.get(n), n, fault="bad-timing") for n in ("start", "end"))
    if end < start or start < 0:
        raise BadRecord("bad-timing", f"it runs from {start:g} s to {end:g} s")
    facts = {k: v for k, v in segment.items() if k not in _TAKEN and v not in (None, [], "")}
    if language:
        facts["language"] = language
    return Cue(start, end, segment["text"].strip(), segment, facts)
