"""Formats are told by content, from the beginning of a file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.shared_data import DATA, needs_data

from trainset.metadata.outline import outline
from trainset.metadata.recognise import recognise, unknown


def _format(text: str | bytes, *, whole: bool = True) -> str | None:
    return recognise(text.encode() if isinstance(text, str) else text, whole=whole).format


@needs_data
@pytest.mark.parametrize(
    ("path", "format_"),
    [
        ("labels/coco-records.json", "json"),
        ("labels/coco_instances/annotations/instances_train.json", "coco"),
        ("labels/coco_captions/annotations/captions_val.json", "coco"),
        ("labels/label_studio_export/data.json", "label-studio"),
        ("labels/label_studio_export/data_polygons.json", "label-studio"),
        ("labels/label_studio_export/label_config.xml", None),
        ("labels/open_images/annotations/oidv6-train-annotations-bbox.csv", "open-images"),
        ("labels/open_images/annotations/image_ids_and_rotation.csv", "open-images-aside"),
        ("labels/open_images/annotations/bbox_labels_600_hierarchy.json", "open-images-aside"),
        ("labels/voc/Annotations/2007_000001.xml", "voc"),
        ("labels/yolo/strict/obj_train_data/1.txt", "yolo"),
        ("labels/yolo/strict/obj.names", None),
        ("labels/yolo/labels/README.txt", None),
        ("tabular/world-population.csv", "csv"),
        ("ocr/8087_054.3B.txt", None),
        ("ocr/phototest.tif", None),
        ("photos/coco/000000000009.jpg", None),
        ("documents/Vector_database.pdf", None),
        ("video/bad_video.mp4", None),
        ("README.md", None),
    ],
)
def test_real_files_are_what_they_are(path: str, format_: str | None) -> None:
    assert _format((DATA / path).read_bytes()) == format_


def test_the_beginning_of_a_large_coco_file_is_enough() -> None:
    images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(5000)]
    body = json.dumps({"info": {}, "images": images, "annotations": []}).encode()
    assert _format(body[:2000], whole=False) == "coco"
    annotations = [{"id": i, "image_id": 1} for i in range(5000)]
    body = json.dumps({"annotations": annotations, "images": images}).encode()
    assert _format(body[:2000], whole=False) == "coco"


def test_a_head_that_says_too_little_asks_for_more() -> None:
    body = json.dumps({"info": {"text": "x" * 5000}, "images": [{"id": 1, "file_name": "a"}]})
    assert recognise(body[:2000].encode(), whole=False).more
    assert _format(body) == "coco"


def test_a_coco_file_on_one_line_is_not_json_lines() -> None:
    assert _format('{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": []}\n') == "coco"


def test_json_lines_with_a_bad_line_are_json_lines() -> None:
    assert _format('{"file": "a"}\nbroken\n{"file": "b"}\n{"file": "c"}\n') == "jsonl"
    assert _format('{"file": "a"}') == "jsonl"


def test_records_under_a_name_are_records() -> None:
    assert _format('{"samples": [{"filepath": "a.jpg"}], "version": 1}') == "json"


@pytest.mark.parametrize(
    "text",
    ["", "   ", "hello", "a,b", "Dear all,\nthis, is, prose\n", "[1, 2, 3]", "[]", "1,2\n3,4"],
)
def test_what_is_no_label_file_is_not_taken_for_one(text: str) -> None:
    assert _format(text) is None


def test_a_panoptic_file_is_coco() -> None:
    body = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": []}],
    }
    assert recognise(json.dumps(body).encode(), whole=True).format == "coco"


@pytest.mark.parametrize(
    ("text", "format_"),
    [
        ('[{"id": 1, "data": {"image": "a"}, "predictions": []}]', "label-studio"),
        ('{"id": 1, "data": {"image": "a"}, "annotations": []}', "label-studio"),
        ('{"id": 1, "result": [], "task": {"id": 2, "data": {}}}', "label-studio"),
        ('{"data": [{"image": "a", "label": "x"}], "annotations": 3}', "json"),
        ('{"data_row": {"id": "x"}, "projects": {}}\n{"data_row": {}}\n', "labelbox"),
        ("<annotations><version>1.1</version><image/></annotations>", "cvat"),
        ("<?xml version='1.0'?>\n<annotations>\n<track id='0'/></annotations>", "cvat"),
        ("<annotation><filename>a.jpg</filename></annotation>", "voc"),
        ("<annotations><other/></annotations>", None),
        ("1\n00:00:01,000 --> 00:00:02,000\nHi\n", "subtitles"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n", "subtitles"),
        ("[Script Info]\nTitle: x\n", "subtitles"),
        ('{"text": "a", "segments": [{"start": 0, "end": 1, "text": "a"}]}', "subtitles"),
        ('{"transcription": [{"offsets": {"from": 0}, "text": "a"}]}', "subtitles"),
        ('{"segments": [{"name": "x"}]}', "jsonl"),
        ("left_file_name,right_file_name,label\na.png,b.png,same\n", "hf-folder"),
        ('{"file_names": ["a.png", "b.png"], "text": "x"}\n', "hf-folder"),
        ("file_name,label\na.png,cat\n", "csv"),
    ],
)
def test_labelling_tools_and_subtitles_are_told_apart(text: str, format_: str | None) -> None:
    assert _format(text) == format_


def test_the_error_for_an_unknown_file_lists_what_is_read() -> None:
    for kind in (None, "voc"):
        for title in ("COCO JSON", "CVAT XML", "JSON records", "JSON Lines", "CSV"):
            assert title in str(unknown("x", kind))
    assert "Pascal VOC" in str(unknown("x", "voc"))


_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(), _values), st.sampled_from([None, 1]))
def test_the_outline_of_whole_json_has_its_keys(
    value: dict[str, object], indent: int | None
) -> None:
    found = outline(json.dumps(value, indent=indent))
    assert found.keys == list(value)
    assert found.closed
    assert not found.broken


@given(st.binary(max_size=300))
def test_no_bytes_break_recognition(data: bytes) -> None:
    recognise(data, whole=True)
    recognise(data, whole=False)
    recognise(b"{" + data, whole=False)


@settings(max_examples=50)
@given(st.dictionaries(st.text(), _values), st.integers(0, 200))
def test_json_that_is_cut_off_is_not_called_broken(value: dict[str, object], cut: int) -> None:
    assert not outline(json.dumps(value)[:cut]).broken
