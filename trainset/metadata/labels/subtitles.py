"""Subtitles and transcripts with times: SRT, WebVTT, ASS/SSA and Whisper's JSON.

One record of kind ``caption`` a cue, with ``{"start_s", "end_s"}`` as geometry; a WebVTT cue with
several voices gives one each. The medium is the file of the same name: ``talk.en.vtt`` is of
``talk``, in English. A file without cues is an ``empty`` label: nothing is said.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.labels import ass, srt, vtt, whisper
from trainset.metadata.labels.cues import BadCue, Cues
from trainset.metadata.names import EXTENSIONS, extension
from trainset.metadata.records import (
    BadRecord,
    NameRecords,
    Record,
    number,
    record,
    rejected,
)
from trainset.metadata.tabular import decode

# ISO 639-1: a part of a name that is none of these is not taken for a language.
_CODES = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv "
    "cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr "
    "ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw "
    "ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv "
    "ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr "
    "ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi "
    "yo za zh zu"
)
_LANGUAGES = frozenset(_CODES.split())
_LANGUAGE = re.compile(r"(.+)\.([a-z]{2})((?:[-_][A-Za-z0-9]{2,4})?)")


def read_subtitles(data: bytes, *, stream: str, place: str) -> Iterator[Record | Rejected]:
    """Records of one file; which format it is in is told by its content.

    Args:
        data: the whole file.
        stream: name for the rejected.
        place: the file; its name says which medium it is of.
    Raises:
        InputError: it is in none of the formats.
    """
    ref, language = medium_of(place)
    shared = {"language": language} if language else {}
    names = NameRecords()
    found = False
    for cue in _cues(decode(data), place):
        found = True
        if isinstance(cue, BadCue):
            yield rejected(stream, cue.where, cue.fault, cue.original)
            continue
        try:
            geometry = {
                "start_s": number(cue.start_s, "start"),
                "end_s": number(cue.end_s, "end"),
            }
            row = record(
                None,
                ref,
                "caption",
                text=cue.text,
                geometry=geometry,
                attributes={**shared, **cue.facts},
            )
        except BadRecord as fault:
            yield rejected(stream, f"at {cue.start_s} s", fault, cue.original)
        else:
            yield names.name(row)
    if not found:
        yield record("empty", ref, "empty", attributes=shared)


def medium_of(place: str) -> tuple[str, str | None]:
    """The medium that a subtitle file is of, by name, and the language its name tells.

    The name keeps an extension, so that its own dots are not taken for one.
    """
    name = posixpath.basename(place.replace("\\", "/").rstrip("/"))
    head, _, _ = name.rpartition(".")
    head = head or name
    language = None
    if (found := _LANGUAGE.fullmatch(head)) and found[2] in _LANGUAGES:
        head, language = found[1], found[2] + found[3]
    if extension(head) in EXTENSIONS:
        return head, language  # talk.mp4.srt
    return f"{head}.{extension(name)}", language


def _cues(text: str, place: str) -> Cues:
    start = text.lstrip("\ufeff \t\r\n")
    if start[:1] in ("{", "[") and not ass.is_ass(start):
        return whisper.read_cues(text, place)
    if start.startswith("WEBVTT"):
        return vtt.read_cues(text)
    if ass.is_ass(start):
        return ass.read_cues(text, place)
    if not start or srt.is_srt(text):
        return srt.read_cues(text)
    raise InputError(
        f"{place}: neither SRT nor WebVTT, ASS or Whisper's JSON, for it has no timing line; "
        "export it as one of them, or take it out of the source"
    )
