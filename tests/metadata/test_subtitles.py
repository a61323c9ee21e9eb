"""Subtitles as records: one cue each, with its times; a broken one is told and spoils no other."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pysubs2
import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st
from services.label_rows import Rows, label_rows

from trainset.errors import InputError
from trainset.metadata.labels.subtitles import medium_of, read_subtitles

SRT = """1
00:00:01,000 --> 00:00:02,500
Hello <i>there</i>,
you

2
00:00:03,000 --> 00:00:04,000
Bye
"""
VTT = """WEBVTT - a talk
Kind: captions

NOTE this is
not said

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start line:0
<v.loud Ann Smith>Hello &amp; <b>welcome</b></v>

00:03.000 --> 01:00:04.000
<v Bob>Yes <v Ann Smith>No
"""
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,not said
Dialogue: 0,0:00:01.00,0:00:02.50,Default,Bob,0,0,0,,{\\i1}Hello{\\i0}\\Nthere, you
Dialogue: 0,0:00:03.00,0:00:04.00,Sign,,0,0,0,,EXIT
"""


def _read(text: str | bytes, place: str = "folder/talk.srt") -> Rows:
    body = text.encode() if isinstance(text, str) else text
    return label_rows(read_subtitles(body, stream="s", place=place))


def _times(rows: list[dict[str, Any]]) -> list[tuple[float, float]]:
    return [(row["geometry"]["start_s"], row["geometry"]["end_s"]) for row in rows]


def test_srt_gives_a_caption_a_cue() -> None:
    rows, none = _read(SRT)
    assert none == []
    assert [row["text"] for row in rows] == ["Hello there,\nyou", "Bye"]
    assert _times(rows) == [(1.0, 2.5), (3.0, 4.0)]
    assert {(row["kind"], row["media_ref"]) for row in rows} == {("caption", "talk.srt")}


def test_a_cue_put_in_at_the_top_leaves_the_others_their_ids() -> None:
    before = {row["record_id"] for row in _read(SRT)[0]}
    after = {row["record_id"] for row in _read("0\n00:00:00,1 --> 00:00:00,2\nHm\n\n" + SRT)[0]}
    assert before < after
    assert len(after) == 3


@pytest.mark.parametrize(
    "line",
    [
        "00:00:03,000 -> 00:00:04,000",
        "00:00:03,000 00:00:04,000",
        "00:00:03 --> 00:00:04",
        "00:61:03,000 --> 00:00:04,000",
        "00:00:04,000 --> 00:00:03,000",
        "soon",
    ],
)
def test_a_broken_timing_line_is_told_and_not_taken_for_words_of_the_cue_before(line: str) -> None:
    text = (
        SRT.replace("00:00:03,000 --> 00:00:04,000", line) + "\n3\n00:00:05,0 --> 00:00:06,0\nEnd"
    )
    rows, (fault,) = _read(text)
    assert [row["text"] for row in rows] == ["Hello there,\nyou", "End"]
    assert fault.kind == "bad-timing"
    assert fault.record == "line 7"
    assert fault.original == f"2\n{line}\nBye"


def test_words_with_blank_lines_numbers_and_arrows_stay_words() -> None:
    text = SRT.replace("you\n", "you\na --> b\n\n42\n\nno\n")
    rows, none = _read(text)
    assert none == []
    assert [row["text"] for row in rows] == ["Hello there,\nyou\na --> b\n\n42\n\nno", "Bye"]


def test_a_forgotten_blank_line_and_windows_line_ends_cost_no_cue() -> None:
    rows, none = _read(SRT.replace("you\n\n2", "you\n2").replace("\n", "\r\n"))
    assert none == []
    assert [row["text"] for row in rows] == ["Hello there,\nyou", "Bye"]


def test_words_before_the_first_cue_are_kept_aside() -> None:
    rows, (fault,) = _read("A film by me\n\n" + SRT)
    assert len(rows) == 2
    assert fault.original.strip() == "A film by me"


def test_webvtt_gives_voices_without_tags_notes_and_styles() -> None:
    rows, none = _read(VTT, "talk.en.vtt")
    assert none == []
    said = [(row["attributes"].get("speaker"), row["text"]) for row in rows]
    assert said == [("Ann Smith", "Hello & welcome"), ("Bob", "Yes"), ("Ann Smith", "No")]
    assert _times(rows) == [(1.0, 2.5), (3.0, 3604.0), (3.0, 3604.0)]
    assert rows[0]["attributes"] == {
        **{"cue": "intro", "position": "align:start line:0", "speaker": "Ann Smith"},
        "language": "en",
    }
    assert {row["media_ref"] for row in rows} == {"talk.vtt"}


def test_broken_webvtt_cues_are_kept_aside() -> None:
    broken = "\n00:03.000 --> soon\nlost\n\nstray words\n\n00:05.000 --> 00:06.000\nlast\n"
    rows, faults = _read(VTT + broken)
    assert rows[-1]["text"] == "last"
    assert [fault.kind for fault in faults] == ["bad-timing", "bad-timing"]
    assert [fault.original for fault in faults] == ["00:03.000 --> soon\nlost", "stray words"]


def test_ass_gives_dialogue_with_speaker_and_style() -> None:
    rows, none = _read(ASS, "talk.ass")
    assert none == []
    assert [row["text"] for row in rows] == ["Hello\nthere, you", "EXIT"]
    assert _times(rows) == [(1.0, 2.5), (3.0, 4.0)]
    assert [row["attributes"] for row in rows] == [{"speaker": "Bob"}, {"style": "Sign"}]


@pytest.mark.parametrize(
    "cells", ["0,0:00:0x.00,0:00:02.50,Default,,0,0,0,,a", "0,soon", "0,0:0:9.0,0:0:1.0,,,,,,,a"]
)
def test_broken_ass_lines_are_kept_aside(cells: str) -> None:
    rows, (fault,) = _read(ASS + f"Dialogue: {cells}\n", "talk.ass")
    assert len(rows) == 2
    assert fault.original == f"Dialogue: {cells}"


def test_whisper_json_of_both_kinds() -> None:
    words = [{"word": "Hi", "start": 0.5, "end": 0.7}]
    segments = [
        {"id": 0, "start": 0.5, "end": 1.25, "text": " Hi", "words": words, "speaker": "S1",
         "tokens": [1], "avg_logprob": -0.3},
        {"id": 1, "start": 2, "end": 1, "text": "backwards"},
        {"id": 2, "start": "soon", "end": 1, "text": "never"},
        7,
    ]  # fmt: skip
    body = json.dumps({"text": "Hi", "segments": segments, "language": "en"})
    (row,), faults = _read(body, "talk.wav.json")
    assert (row["text"], row["media_ref"], _times([row])) == ("Hi", "talk.wav", [(0.5, 1.25)])
    assert row["attributes"] == {
        **{"words": words, "speaker": "S1", "language": "en", "avg_logprob": -0.3}
    }
    assert [fault.kind for fault in faults] == ["bad-timing", "bad-timing", "bad-record"]
    assert json.loads(faults[0].original) == segments[1]

    cpp = {"result": {"language": "de"}, "transcription": [
        {"timestamps": {}, "offsets": {"from": 500, "to": 1250}, "text": " Ja"}
    ]}  # fmt: skip
    (row,), none = _read(json.dumps(cpp), "talk.json")
    assert none == []
    assert (row["text"], _times([row])) == ("Ja", [(0.5, 1.25)])
    assert row["attributes"] == {"language": "de"}


@pytest.mark.parametrize(
    ("place", "ref", "language"),
    [
        ("/a/talk.srt", "talk.srt", None),
        ("s3://b/x/talk.en.vtt", "talk.vtt", "en"),
        ("talk.pt-BR.srt", "talk.srt", "pt-BR"),
        ("talk.wav.json", "talk.wav", None),
        ("talk.mp4.de.srt", "talk.mp4", "de"),
        ("dr.ed.srt", "dr.ed.srt", None),  # "ed" is no language
        ("dr.smith.srt", "dr.smith.srt", None),
    ],
)
def test_the_medium_is_the_file_of_the_same_name(
    place: str, ref: str, language: str | None
) -> None:
    assert medium_of(place) == (ref, language)


@pytest.mark.parametrize(
    ("body", "place"), [("", "t.srt"), ("WEBVTT\n", "t.vtt"), ('{"segments": []}', "t.json")]
)
def test_a_file_without_cues_says_that_nothing_is_said(body: str, place: str) -> None:
    (row,), none = _read(body, place)
    assert none == []
    assert (row["kind"], row["media_ref"]) == ("empty", place)


def test_a_file_whose_cues_are_all_broken_is_not_called_empty() -> None:
    rows, (fault,) = _read("1\n00:00:09,0 --> 00:00:01,0\nHi\n")
    assert (rows, fault.kind) == ([], "bad-timing")


def test_words_in_an_odd_encoding_are_kept_aside_and_spoil_no_other() -> None:
    rows, (fault,) = _read(SRT.encode().replace(b"Bye", b"Adi\xf3s"))
    assert len(rows) == 1
    assert fault.kind == "encoding"
    assert "Adi" in fault.original


@pytest.mark.parametrize("body", ["Dear all,\nhello", '{"a": 1}', "{", "[3"])
def test_a_file_that_is_none_of_them_is_named_with_the_next_step(body: str) -> None:
    with pytest.raises(InputError, match=r"talk\.srt"):
        _read(body)


_words = st.text("abc ,.!?äß", min_size=1, max_size=20).filter(lambda s: s.strip() == s and s)
_cues = st.lists(
    st.tuples(st.integers(0, 9_999_999), st.integers(0, 60_000), _words), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None)
@given(_cues)
def test_good_files_are_read_as_the_usual_parsers_read_them(
    cues: list[tuple[int, int, str]],
) -> None:
    subs = pysubs2.SSAFile()
    for start, length, words in cues:
        subs.append(pysubs2.SSAEvent(start=start, end=start + length, text=words))
    subs.sort()  # to_string sorts, too
    expected = [(e.start / 1000, e.end / 1000) for e in subs]
    for format_ in ("srt", "vtt"):
        text = subs.to_string(format_)
        rows, none = _read(text)
        assert none == []
        assert _times(rows) == expected
        assert [row["text"] for row in rows] == [e.plaintext for e in subs]
    theirs = webvtt.from_buffer(StringIO(text))
    assert [row["text"] for row in rows] == [caption.text for caption in theirs]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["", "1", "2", "words", "00:00:01,000 --> 00:00:02,000", "-->",
                                 "00:00:01,000 00:00:02,000"]), max_size=12))  # fmt: skip
def test_no_word_of_an_srt_file_is_lost(lines: list[str]) -> None:
    try:
        rows, faults = _read("\n".join(lines))
    except InputError:
        return
    kept = "\n".join([row["text"] or "" for row in rows] + [f.original for f in faults])
    assert kept.count("words") == lines.count("words")
