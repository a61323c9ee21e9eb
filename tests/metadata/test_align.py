"""The key ladder, and what alignment reports."""

from __future__ import annotations

import json
import posixpath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainset.identity import canonical_json, row_id
from trainset.metadata.align import AlignReport, align_annotations, left_out
from trainset.metadata.align.pixels import to_pixels
from trainset.metadata.align.rematch import Before
from trainset.metadata.records import RECORDS, NameRecords, Record, record, to_table
from trainset.tables.schema import ANNOTATIONS, ANNOTATIONS_FINGERPRINT

MEDIA = pa.schema(
    [
        ("row_id", pa.string()),
        ("key", pa.string()),
        ("source_uri", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("modality", pa.string()),
    ]
)


def _media(*paths: str, root: str = "/data", source: str = "cam", **more: Any) -> pa.Table:
    rows = [
        {
            "row_id": row_id(f"{source}/{path}"),
            "key": f"{source}/{path}",
            "source_uri": f"{root}/{path}",
            "sha256": None,
            "width": 100,
            "height": 50,
            "modality": "image",
            **more,
        }
        for path in paths
    ]
    return pa.Table.from_pylist(rows, schema=MEDIA)


def _align(
    refs: list[str] | list[Record], media: pa.Table, *, label: str | None = None, **options: Any
) -> tuple[list[dict[str, Any]], AlignReport]:
    names = NameRecords()
    rows = [
        names.name(r if isinstance(r, dict) else record(None, r, "class", class_="x")) for r in refs
    ]
    records = to_table(rows, source="labels", stream="s")
    uris = {("labels", "s"): label} if label else None
    table, report, _ = align_annotations(records, media, label_uris=uris, **options)
    assert table.schema.equals(ANNOTATIONS)
    return table.to_pylist(), report


def _one(ref: str, media: pa.Table, *, label: str | None = None, **options: Any) -> tuple[str, str]:
    (row,), _ = _align([ref], media, label=label, **options)
    return row["match"], row["media_key"]


@pytest.mark.parametrize(
    ("ref", "method", "key"),
    [
        ("cam/day1/a.jpg", "key", "cam/day1/a.jpg"),
        ("day1/a.jpg", "path", "cam/day1/a.jpg"),
        ("./day1//a.jpg", "path", "cam/day1/a.jpg"),
        ("day1\\a.jpg", "path", "cam/day1/a.jpg"),
        ("/data/day1/a.jpg", "path", "cam/day1/a.jpg"),
        ("file:///data/day1/a.jpg", "path", "cam/day1/a.jpg"),
        ("/elsewhere/day1/a.jpg", "path", "cam/day1/a.jpg"),
        ("https://host/x/day1/a.jpg?token=1#y", "path", "cam/day1/a.jpg"),
        ("s3://old-bucket/day1/a.jpg", "path", "cam/day1/a.jpg"),
        ("b%20c/d%20e.jpg", "path", "cam/b c/d e.jpg"),
        ("umlaut/a\u0308.jpg", "path", "cam/umlaut/\u00e4.jpg"),
        ("only.jpg", "filename", "cam/deep/er/only.jpg"),
        ("wrong/folder/only.jpg", "filename", "cam/deep/er/only.jpg"),
        ("deep/er/only.jpg", "path", "cam/deep/er/only.jpg"),
        ("er/only.jpg", "path", "cam/deep/er/only.jpg"),
        ("only", "filename", "cam/deep/er/only.jpg"),
        ("only.png", "filename", "cam/deep/er/only.jpg"),
        ("/data/upload/3/821822e5-only.jpg", "filename", "cam/deep/er/only.jpg"),
        ("100%25/x#1.jpg", "path", "cam/100%/x#1.jpg"),
        ("100%/x#1.jpg", "path", "cam/100%/x#1.jpg"),
    ],
)
def test_a_reference_finds_its_medium(ref: str, method: str, key: str) -> None:
    media = _media(
        "day1/a.jpg",
        "day2/a.jpg",
        "b c/d e.jpg",
        "umlaut/\u00e4.jpg",
        "deep/er/only.jpg",
        "100%/x#1.jpg",
    )
    if "x#1" in ref and "%25" in ref:  # a fragment is cut from an address: then nothing is left
        ref = ref.replace("#", "%23")
    assert _one(ref, media) == (method, key)


def test_a_name_that_two_media_bear_is_ambiguous_and_names_them() -> None:
    (row,), report = _align(["a.jpg"], _media("day1/a.jpg", "day2/a.jpg"))
    assert (row["match"], row["media_id"], row["media_key"]) == ("ambiguous", None, None)
    assert report.candidates == {"a.jpg": ("cam/day1/a.jpg", "cam/day2/a.jpg")}


def test_a_part_of_a_segment_is_no_path() -> None:
    assert _one("1/a.jpg", _media("day1/a.jpg", "day2/a.jpg"))[0] == "ambiguous"


def test_near_finds_the_one_under_the_nearest_folder_that_holds_one() -> None:
    media = _media("x/images/1.jpg", "y/images/1.jpg", "z/1.jpg")
    assert _one("1.jpg", media, label="/data/x/annotations/labels.json") == (
        "near",
        "cam/x/images/1.jpg",
    )
    assert _one("1.jpg", media, label="/data/y/labels.json") == ("near", "cam/y/images/1.jpg")
    assert _one("1.jpg", media, label="/data/labels.json")[0] == "ambiguous"
    assert _one("1.jpg", media, label="/else/x/labels.json")[0] == "ambiguous"


def test_near_does_not_look_above_the_media_source() -> None:
    media = pa.concat_tables(
        [
            _media("1.jpg", root="/disk/new", source="new"),
            _media("b/1.jpg", root="/old", source="old"),
        ]
    )
    assert _one("x/1.jpg", media, label="/disk/labels/all.json")[0] == "ambiguous"


def test_near_singles_out_one_of_several_paths() -> None:
    media = _media("x/images/1.jpg", "y/images/1.jpg")
    found = _one("images/1.jpg", media, label="/data/x/annotations/labels.json")
    assert found == ("near", "cam/x/images/1.jpg")


def test_a_file_beside_the_label_file_goes_before_one_at_the_top() -> None:
    media = _media("a.jpg", "sub/a.jpg")
    assert _one("a.jpg", media, label="/data/sub/labels.csv") == ("path", "cam/sub/a.jpg")
    assert _one("a.jpg", media, label="/data/labels.csv") == ("path", "cam/a.jpg")
    assert _one("../a.jpg", media, label="/data/sub/labels.csv") == ("path", "cam/a.jpg")


def test_a_digest_finds_the_content_even_where_names_do_not() -> None:
    digest = "ab" * 32
    media = pa.concat_tables([_media("x/1.jpg", sha256=digest), _media("y/1.jpg")])
    assert _one(digest.upper(), media) == ("sha256", "cam/x/1.jpg")
    by_column = record(None, "1.jpg", "class", attributes={"image_sha256": digest})
    (row,), _ = _align([by_column], media)
    assert (row["match"], row["media_key"]) == ("sha256", "cam/x/1.jpg")


def test_a_digest_that_two_media_share_is_ambiguous() -> None:
    digest = "ab" * 32
    assert _one(digest, _media("x/1.jpg", "y/2.jpg", sha256=digest))[0] == "ambiguous"


def test_only_the_methods_asked_for_are_tried() -> None:
    media = _media("day1/a.jpg")
    assert _one("a.jpg", media, methods=["key", "path"])[0] == "orphan"
    assert _one("a.jpg", media, methods=["filename"])[0] == "filename"


def test_the_report_counts_what_people_ask_for() -> None:
    rows = [
        record("1", "a.jpg", "box", class_="cat", bbox=[1, 1, 5, 5]),
        record("2", "a.jpg", "box", class_="cat", bbox=[1, 1, 5, 5]),
        record("3", "a.jpg", "box", class_="dog", bbox=[90, 1, 30, 5]),
        record("4", "a.jpg", "box", class_="dog", bbox=[2, 2, 0, 5]),
        record("5", "b.jpg", "empty"),
        record("6", "gone.jpg", "class", class_="cat"),
    ]
    media = pa.concat_tables([_media("a.jpg", "b.jpg", "c.jpg"), _media("d.mp3", modality="audio")])
    cats, _, _ = align_annotations(
        to_table([record("0", "a.jpg", "class", class_="cat")], source="labels", stream="s"), media
    )
    out, report = _align(rows, media, before=Before(cats))
    assert report.matched == {"path": 5}
    assert (report.records, report.orphan_records, report.ambiguous) == (6, 1, 0)
    assert (report.labelled_media, report.empty_media) == (1, 1)
    assert report.orphan_media == 1  # c.jpg; nobody labels audio here
    assert report.examples["orphan_media"] == ("cam/c.jpg",)
    assert (report.boxes_outside, report.boxes_without_area, report.duplicates) == (1, 1, 1)
    assert report.classes == {"cat": 3, "dog": 2}
    assert report.new_classes == ("dog",)
    assert report.examples["boxes_outside"] == ("labels/s#3: a.jpg ([90, 1, 30, 5])",)
    (item,) = left_out(pa.Table.from_pylist(out, schema=ANNOTATIONS), report)
    assert (item.key, item.kind) == ("labels/s#6", "orphan-record")
    assert "gone.jpg" in item.reason


def test_boxes_as_fractions_become_pixels_of_the_medium() -> None:
    rows = [
        record("1", "a.jpg", "box", geometry={"bbox_fraction": [0.5, 0.5, 0.25, 0.5]}),
        record("2", "gone.jpg", "box", geometry={"bbox_fraction": [0.5, 0.5, 0.25, 0.5]}),
    ]
    (found, gone), _ = _align(rows, _media("a.jpg"))
    assert (found["bbox"], found["geometry"]) == ([50, 25, 25, 25], None)
    assert gone["bbox"] is None
    assert "bbox_fraction" in gone["geometry"]


def test_rows_are_named_and_fingerprinted_like_all_rows() -> None:
    from trainset.identity import row_fingerprint

    (row,), _ = _align(["a.jpg"], _media("a.jpg"))
    assert row["row_id"] == row_id(f"labels/s/{row['record_id']}")
    assert row["row_fp"] == row_fingerprint(row, ANNOTATIONS_FINGERPRINT)


def test_nothing_to_align_is_an_empty_table() -> None:
    for media in (_media(), _media("a.jpg")):
        table, report, _ = align_annotations(RECORDS.empty_table(), media)
        assert table.schema.equals(ANNOTATIONS)
        assert (len(table), report.records) == (0, 0)
    rows, report = _align(["a.jpg"], _media())
    assert (rows[0]["match"], report.orphan_records) == ("orphan", 1)


_segment = st.sampled_from(
    ["a", "b", "x.jpg", "y.jpg", "x", "deadbeef-x.jpg", "..", "%20", "\u00e4"]
)
_path = st.lists(_segment, min_size=1, max_size=4).map("/".join)


def _clean(path: str) -> bool:
    return ".." not in path


@given(
    st.lists(_path, max_size=12),
    st.lists(_path.filter(_clean), max_size=12, unique=True),
    st.none() | _path.filter(_clean).map(lambda p: f"/data/{p}/labels.json"),
)
def test_every_record_is_matched_orphan_or_ambiguous(
    refs: list[str], paths: list[str], label: str | None
) -> None:
    rows, report = _align(refs, _media(*paths), label=label)
    assert len(rows) == len(refs)
    assert [row["media_ref"] for row in rows] == refs
    assert report.matched_records + report.orphan_records + report.ambiguous == len(refs)
    keys = {f"cam/{path}" for path in paths}
    for row in rows:
        unmatched = row["match"] in ("orphan", "ambiguous")
        assert (row["media_id"] is None) == unmatched
        if not unmatched:
            assert row["media_key"] in keys
            assert row["media_id"] == row_id(row["media_key"])


@given(
    st.lists(_path.filter(_clean), min_size=1, max_size=8, unique=True),
    st.data(),
)
def test_renaming_other_media_never_changes_an_exact_match(paths: list[str], data: Any) -> None:
    target = data.draw(st.sampled_from(paths))
    others = [p for p in paths if p != target]
    renamed = [f"renamed/{i}/{posixpath.basename(p)}" for i, p in enumerate(others)]
    assert _one(target, _media(*paths)) == ("path", f"cam/{target}")
    assert _one(target, _media(target, *renamed)) == ("path", f"cam/{target}")


@given(
    st.lists(_path, min_size=1, max_size=8), st.lists(_path.filter(_clean), unique=True, max_size=8)
)
def test_the_order_of_media_does_not_matter(refs: list[str], paths: list[str]) -> None:
    forward, _ = _align(refs, _media(*paths))
    backward, _ = _align(refs, _media(*reversed(paths)))
    assert [(r["match"], r["media_key"]) for r in forward] == [
        (r["match"], r["media_key"]) for r in backward
    ]


def test_polygons_and_keypoints_in_fractions_become_pixels() -> None:
    geometry = {
        "bbox_fraction": [0.5, 0.5, 0.25, 0.5],
        "polygons_fraction": [[0, 0, 1, 0, 0.5, 0.5]],
        "keypoints_fraction": [0.5, 0.25, 2],
    }
    text = canonical_json(geometry).decode()
    boxes = pa.chunked_array([pa.array([None, None], pa.list_(pa.float64(), 4))])
    texts = pa.chunked_array([[text, text]])
    sides = [pa.chunked_array([[side, None]], pa.int32()) for side in (100, 80)]
    bbox, shapes = to_pixels(boxes, texts, *sides)
    assert bbox.to_pylist() == [[50, 40, 25, 40], None]
    assert shapes[1].as_py() == text
    assert json.loads(shapes[0].as_py()) == {
        "polygons": [[0, 0, 100, 0, 50, 40]],
        "keypoints": [50, 20, 2],
    }


def test_a_label_whose_medium_went_is_an_orphan_that_was_matched() -> None:
    rows = to_table([record("1", "a.jpg", "class", class_="x")], source="labels", stream="s")
    both, one = _media("a.jpg", "b.jpg"), _media("b.jpg")
    before = Before(align_annotations(rows, both).rows)
    lost = align_annotations(rows, one, before=before)
    assert (lost.report.orphan_records, lost.report.once_matched) == (1, 1)
    (found,) = lost.findings.filter(
        pc.equal(lost.findings["finding"], "orphan_records")
    ).to_pylist()
    assert found["detail"] == "was matched with cam/a.jpg"
    again = align_annotations(rows, both, before=Before(lost.rows)).report
    assert (again.once_matched, again.late_matched, again.orphan_records) == (0, 1, 0)


def test_only_labels_make_a_medium_labelled() -> None:
    kinds = ["box", "prediction", "skipped", "record", "empty"]
    refs = [record(None, f"{kind}.jpg", kind, class_=kind) for kind in kinds]
    _, report = _align(refs, _media(*(f"{kind}.jpg" for kind in kinds), "other.jpg"))
    assert (report.labelled_media, report.empty_media, report.skipped_media) == (1, 1, 1)
    assert report.unlabelled_media == 3
    assert report.kinds == dict.fromkeys(kinds, 1)
    assert report.classes == {"box": 1}
