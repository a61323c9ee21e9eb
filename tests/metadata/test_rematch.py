"""An earlier alignment changes no row; records in columns get what single ones would."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainset.identity import row_id
from trainset.metadata.align import METHODS, align_annotations
from trainset.metadata.align.ladder import MediaIndex
from trainset.metadata.align.rematch import (
    Before,
    Stream,
    equal,
    same_media,
    streams_that_hold,
)
from trainset.metadata.align.repeats import repeated_labels, repeated_media
from trainset.metadata.records import RECORDS

_DIGESTS = ["ab" * 32, "cd" * 32]
_PATHS = ["a.jpg", "b.jpg", "x/a.jpg", "x/y/a.jpg", "deadbeef-b.jpg", "c.png"]
_PATHS += ["%20.jpg", "\u00e4.jpg", "..", "x/"]
_STREAMS: list[Stream] = [("s", "t"), ("s", "u"), ("r", "t")]
_NUMBERS = [0.0, -0.0, 1.5, 100.0, math.nan]

_record = st.fixed_dictionaries(
    {
        "stream": st.sampled_from(_STREAMS),
        "record_id": st.sampled_from(["1", "2", "3", "4", "5", "6"]),
        "media_ref": st.sampled_from([*_PATHS, "cam/a.jpg", "/data/x/a.jpg", _DIGESTS[0], "gone"]),
        "kind": st.sampled_from(["box", "caption", "empty"]),
        "class": st.sampled_from([None, "car"]),
        "bbox": st.none() | st.lists(st.sampled_from(_NUMBERS), min_size=4, max_size=4),
        "geometry": st.sampled_from([None, '{"bbox_fraction":[0.1,0.2,0.5,0.5]}']),
        "text": st.sampled_from([None, "words"]),
        "score": st.sampled_from([None, *_NUMBERS]),
        "attributes": st.sampled_from([None, f'{{"sha256":"{_DIGESTS[1]}"}}']),
    }
)
_records = st.lists(_record, max_size=12, unique_by=lambda r: (r["stream"], r["record_id"]))
_media = st.lists(
    st.tuples(st.sampled_from(_PATHS), st.sampled_from([None, *_DIGESTS]), st.booleans()),
    max_size=8,
    unique_by=lambda m: m[0],
)
_label_uris = st.dictionaries(
    st.sampled_from(_STREAMS), st.sampled_from(["/data/l.json", "/data/x/l.json"])
)


def _record_table(records: list[dict[str, Any]]) -> pa.Table:
    rows = [{**r, "source": r["stream"][0], "stream": r["stream"][1]} for r in records]
    loose = pa.schema([f.with_nullable(True) for f in RECORDS])
    return pa.Table.from_pylist(rows, schema=loose).cast(RECORDS)


def _media_table(media: list[tuple[str, str | None, bool]]) -> pa.Table:
    keys = [f"cam/{path}" for path, _, _ in media]
    text = pa.string()
    return pa.table(
        {
            "row_id": pa.array([row_id(key) for key in keys], text),
            "key": pa.array(keys, text),
            # Some lie under another name than their key says.
            "source_uri": pa.array(
                [f"/data/{path}.orig" if moved else f"/data/{path}" for path, _, moved in media],
                text,
            ),
            "sha256": pa.array([digest for _, digest, _ in media], text),
            "width": pa.array([100] * len(media), pa.int32()),
            "height": pa.array([None] * len(media), pa.int32()),
            "modality": pa.array(["image"] * len(media), text),
        }
    )


@given(_records, _records, _media, _media, st.booleans(), _label_uris, _label_uris)
@settings(max_examples=100)
def test_rows_do_not_depend_on_what_was_there_before(
    old: list[dict[str, Any]],
    new: list[dict[str, Any]],
    media_before: list[Any],
    media_now: list[Any],
    stays: bool,
    labels_before: dict[Stream, str],
    labels_now: dict[Stream, str],
) -> None:
    then = _media_table(media_before)
    now = _media_table(media_before[::-1] if stays else media_now)
    first = align_annotations(_record_table(old), then, label_uris=labels_before).rows
    holds = streams_that_hold(
        same_media=same_media(then, now),
        methods=(METHODS, METHODS),
        label_uris=(labels_before, labels_now),
        streams=_STREAMS,
    )
    kept = [r for r in old if r["record_id"] < "4"]
    changed = [
        r
        for r in new
        if (r["stream"], r["record_id"]) not in {(k["stream"], k["record_id"]) for k in kept}
    ]
    for records in (old, changed + kept, new):
        table = _record_table(records)
        alone = align_annotations(table, now, label_uris=labels_now)
        after = align_annotations(table, now, label_uris=labels_now, before=Before(first, holds))
        assert _plain(after.rows) == _plain(alone.rows)
        assert after.report.matched == alone.report.matched


def _plain(rows: pa.Table) -> list[str]:
    return [repr(row) for row in rows.to_pylist()]  # NaN is not NaN, but its words are


def test_a_match_that_holds_is_not_looked_for_again() -> None:
    media = _media_table([("a.jpg", None, False), ("b.jpg", None, False)])
    records = _record_table(
        [{"stream": ("s", "t"), "record_id": n, "media_ref": "a.jpg", "kind": "box"} for n in "12"]
    )
    rows = align_annotations(records, media).rows
    other = pa.array([media["row_id"][1].as_py(), rows["media_id"][1].as_py()])
    forged = rows.set_column(rows.column_names.index("media_id"), "media_id", other)

    held = align_annotations(records, media, before=Before(forged, frozenset({("s", "t")}))).rows
    assert held["media_key"].to_pylist() == ["cam/b.jpg", "cam/a.jpg"]
    anew = align_annotations(records, media, before=Before(forged, frozenset({("s", "u")}))).rows
    assert anew.equals(rows)


def test_streams_hold_while_media_steps_and_their_label_file_stay() -> None:
    uris = {("s", "t"): "/a.json", ("s", "u"): "/b.json"}

    def hold(*, media: bool = True, now: Any = METHODS, uris_now: Any = uris) -> set[Stream]:
        return set(
            streams_that_hold(
                same_media=media,
                methods=(METHODS, now),
                label_uris=(uris, uris_now),
                streams=_STREAMS,
            )
        )

    assert hold() == set(_STREAMS)
    assert hold(media=False) == set()
    assert hold(now=METHODS[::-1]) == set()
    assert hold(uris_now={**uris, ("s", "u"): "/c.json"}) == {("s", "t"), ("r", "t")}


def test_media_are_the_same_in_any_order_and_not_when_one_moved() -> None:
    media = [("a.jpg", _DIGESTS[0], False), ("b.jpg", None, False)]
    table = _media_table(media)
    assert same_media(table, _media_table(media[::-1]))
    assert not same_media(table, _media_table(media[:1]))
    assert not same_media(table, _media_table([("a.jpg", _DIGESTS[0], True), media[1]]))
    assert not same_media(table, _media_table([("a.jpg", _DIGESTS[1], False), media[1]]))


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ([1.0, 0.0, math.nan, None], [1.0, -0.0, math.nan, None], [True, False, True, True]),
        (["a", None, None], ["b", None, "a"], [False, True, False]),
        ([[1.0, math.nan], None, [0.0, 1.0]], [[1.0, math.nan], None, None], [True, True, False]),
    ],
)
def test_values_are_equal_to_the_bit_and_null_is_null(
    old: list[Any], new: list[Any], same: list[bool]
) -> None:
    kind = pa.list_(pa.float64(), 2) if isinstance(old[0], list) else None
    columns = (pa.chunked_array([pa.array(values, kind)]) for values in (old, new))
    assert equal(*columns).tolist() == same


@given(_records, _media, _label_uris, st.permutations(METHODS), st.integers(1, 5))
@settings(max_examples=100)
def test_every_record_gets_what_the_ladder_finds_for_it_alone(
    records: list[dict[str, Any]],
    media: list[Any],
    labels: dict[Stream, str],
    order: list[Any],
    count: int,
) -> None:
    table, methods = _media_table(media), order[:count]
    index = MediaIndex(*(table[n].to_pylist() for n in ("key", "source_uri", "sha256")))
    rows = align_annotations(_record_table(records), table, methods, label_uris=labels).rows
    for record, row in zip(records, rows.to_pylist(), strict=True):
        match = index.resolve(
            record["media_ref"],
            methods,
            label_uri=labels.get(record["stream"]),
            sha256=_DIGESTS[1] if record["attributes"] else None,
        )
        lost = "ambiguous" if match.candidates else "orphan"
        assert row["match"] == (match.method or lost)
        wanted = table["key"][match.candidates[0]].as_py() if match.method else None
        assert row["media_key"] == wanted


@given(_records, st.lists(st.integers(-1, 1), min_size=12, max_size=12))
def test_labels_are_repeated_where_all_that_they_say_is_the_same(
    records: list[dict[str, Any]], media: list[int]
) -> None:
    at = np.array(media[: len(records)], np.int64)
    first: dict[str, int] = {}
    wanted = []
    for i, (r, medium) in enumerate(zip(records, at.tolist(), strict=True)):
        box = None if r["bbox"] is None else [v + 0.0 for v in r["bbox"]]
        said = repr((medium, r["kind"], r["class"], box, r["text"], r["geometry"]))
        if medium >= 0 and r["kind"] != "empty":
            if said in first:
                wanted.append((i, first[said]))
            first.setdefault(said, i)
    again, firsts = repeated_labels(_record_table(records), at)
    assert list(zip(again.tolist(), firsts.tolist(), strict=True)) == wanted


@pytest.mark.parametrize("odd", ["", "not a digest"])
def test_media_with_bytes_of_an_earlier_one_name_it(odd: str) -> None:
    digests = [
        "ab" * 32,
        None,
        "cd" * 32,
        "ab" * 32,
        None,
        "ab" * 32,
        "cd" * 31 + "ce",
        odd or None,
    ]
    table = pa.table({"key": list("abcdefgh"), "sha256": digests})
    again, why = repeated_media(table)
    assert again.tolist() == [3, 5]
    assert why == ["same bytes as a", "same bytes as a"]
    assert repeated_media(table.slice(0, 2))[0].tolist() == []
