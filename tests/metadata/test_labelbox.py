"""Labelbox NDJSON as records: objects, answers, videos, and what is wrong in a line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from services.label_rows import Rows, label_rows

from trainset.errors import InputError
from trainset.metadata.labels.labelbox import read_labelbox


def _read(*lines: Any) -> Rows:
    body = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return label_rows(read_labelbox(body.encode(), stream="s", place="rows.ndjson"))


def _row(*objects: Any, answers: Any = (), **parts: Any) -> dict[str, Any]:
    label = {
        "id": "L1",
        "label_details": {"created_by": "ann@example.org", "reviews": []},
        "annotations": {"objects": list(objects), "classifications": list(answers)},
    }
    project = {"name": "cars", "labels": [label]}
    return {
        "data_row": {"id": "D1", "external_id": "a.jpg", "row_data": "https://h/x?sig=s3cret"},
        "media_attributes": {"width": 40, "height": 30},
        "projects": {"P1": project},
        **parts,
    }


def _object(**parts: Any) -> dict[str, Any]:
    return {"feature_id": "F1", "name": "car", "value": "car_", **parts}


BOX = _object(bounding_box={"top": 2, "left": 1, "height": 4, "width": 3})


def test_a_box_with_nested_answers() -> None:
    inner = [
        {"name": "colour", "radio_answer": {"name": "red"}},
        {"name": "damage", "checklist_answers": [{"name": "dent"}, {"name": "rust"}]},
        {"name": "plate", "text_answer": {"content": "B 1"}},
    ]
    (row,), none = _read(_row({**BOX, "classifications": inner}))
    assert none == []
    assert (row["kind"], row["class"], row["bbox"]) == ("box", "car", [1, 2, 3, 4])
    assert (row["record_id"], row["media_ref"]) == ("L1-F1", "a.jpg")
    attributes = row["attributes"]
    assert attributes["answers"] == {"colour": "red", "damage": ["dent", "rust"], "plate": "B 1"}
    assert (attributes["created_by"], attributes["project"]) == ("ann@example.org", "cars")
    assert (attributes["image_width"], attributes["data_row"]) == (40, "D1")


@pytest.mark.parametrize(
    ("shape", "kind", "bbox", "geometry"),
    [
        (
            {"polygon": [{"x": 0, "y": 0}, {"x": 4, "y": 0}, {"x": 4, "y": 2.5}]},
            "polygon",
            [0, 0, 4, 2.5],
            {"polygons": [[0, 0, 4, 0, 4, 2.5]]},
        ),
        (
            {"line": [{"x": 1, "y": 1}, {"x": 3, "y": 5}]},
            "polyline",
            [1, 1, 2, 4],
            {"polyline": [1, 1, 3, 5]},
        ),
        ({"point": {"x": 5, "y": 6}}, "keypoints", None, {"keypoints": [5, 6, 2]}),
        (
            {"composite_mask": {"url": "https://h/m?token=abc", "color_rgb": [1, 2, 3]}},
            "mask",
            None,
            {"mask_url": "https://h/m?token=***", "color_rgb": [1, 2, 3]},
        ),
        ({"location": {"start": 3, "end": 9}}, "class", None, {"start_char": 3, "end_char": 9}),
    ],
)
def test_each_shape_has_its_geometry(
    shape: dict[str, Any], kind: str, bbox: list[float] | None, geometry: dict[str, Any]
) -> None:
    (row,), none = _read(_row(_object(**shape)))
    assert none == []
    assert (row["kind"], row["bbox"], row["geometry"]) == (kind, bbox, geometry)


def test_answers_about_the_whole_medium() -> None:
    answers = [
        {"feature_id": "A", "name": "weather", "radio_answer": {"name": "rain"}},
        {"feature_id": "B", "name": "seen", "checklist_answers": [{"name": "x"}, {"name": "y"}]},
        {"feature_id": "C", "name": "what", "text_answer": {"content": "a wet road"}},
    ]
    rows, none = _read(_row(answers=answers))
    assert none == []
    assert [(r["kind"], r["class"], r["text"]) for r in rows] == [
        ("class", "rain", None),
        ("class", "x", None),
        ("class", "y", None),
        ("caption", None, "a wet road"),
    ]
    assert [r["attributes"]["question"] for r in rows] == ["weather", "seen", "seen", "what"]
    assert len({r["record_id"] for r in rows}) == 4


def test_labelled_empty_skipped_and_never_labelled_are_three_things() -> None:
    skipped = _row(BOX)
    skipped["projects"]["P1"]["labels"][0]["performance_details"] = {"skipped": True}
    unlabelled = _row()
    unlabelled["projects"]["P1"]["labels"] = []
    rows, none = _read(_row(), skipped, unlabelled, _row(projects={}))
    assert none == []
    assert [row["kind"] for row in rows] == ["empty", "skipped", "record", "record"]
    assert rows[1]["attributes"]["annotations"]["objects"] == [BOX]


def test_a_label_whose_objects_are_all_rejected_is_not_called_empty() -> None:
    rows, (fault,) = _read(_row(_object(cube={})))
    assert (rows, fault.kind) == ([], "unknown-shape")


def test_the_frames_of_a_video_count_from_0() -> None:
    row = _row()
    row["projects"]["P1"]["labels"][0]["annotations"] = {
        "frames": {
            "1": {"objects": {"F1": BOX}, "classifications": []},
            "7": {
                "objects": {"F1": BOX},
                "classifications": [
                    {"feature_id": "A", "name": "weather", "radio_answer": {"name": "rain"}}
                ],
            },
        }
    }
    rows, none = _read(row)
    assert none == []
    assert [r["record_id"] for r in rows] == ["L1-F1@0", "L1-F1@6", "L1-A@6"]
    assert [r["geometry"]["frame"] for r in rows] == [0, 6, 6]


@pytest.mark.parametrize(
    ("data_row", "ref"),
    [
        ({"global_key": "k1", "external_id": "a.jpg", "row_data": "https://h/b.jpg"}, "a.jpg"),
        ({"global_key": "x/a.jpg", "external_id": "a.jpg"}, "x/a.jpg"),
        ({"global_key": "k1", "row_data": "https://h/b.jpg?sig=x"}, "https://h/b.jpg?sig=***"),
        ({"global_key": "k1", "external_id": "k2"}, "k1"),
    ],
)
def test_the_medium_is_the_first_name_that_reads_like_one(data_row: Any, ref: str) -> None:
    (row,), _ = _read(_row(BOX, data_row=data_row))
    assert row["media_ref"] == ref


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        (_object(bounding_box={"top": 2, "left": 1, "height": 4}), "bad-geometry"),
        (_object(bounding_box=[1, 2, 3, 4]), "bad-geometry"),
        (_object(polygon=[{"x": 1, "y": 1}]), "bad-geometry"),
        (_object(polygon=[1, 2, 3]), "bad-geometry"),
        ({"feature_id": "F2", "bounding_box": BOX["bounding_box"]}, "no-class"),
        (_object(), "unknown-shape"),
        (5, "bad-record"),
    ],
)
def test_a_bad_object_is_kept_aside_whole_and_spoils_no_other(item: Any, kind: str) -> None:
    rows, (fault,) = _read(_row(item, BOX))
    assert [row["bbox"] for row in rows] == [[1, 2, 3, 4]]
    assert fault.kind == kind
    assert fault.record.startswith("line 1, label L1")
    assert json.loads(fault.original) == item


def test_bad_answers_and_bad_lines_are_kept_aside() -> None:
    bad = [{"name": "q"}, {"name": "q", "radio_answer": {}}, 7]
    rows, faults = _read("broken", _row(BOX, answers=bad), "[]", {"data_row": {}}, _row(BOX))
    assert len(rows) == 2
    assert [fault.kind for fault in faults] == [
        *("bad-record", "bad-record", "no-class", "bad-record", "bad-record", "no-media-ref"),
    ]
    assert faults[0].original == "broken"


def test_a_project_without_labels_is_kept_aside_and_its_row_not_called_unlabelled() -> None:
    rows, (fault,) = _read(_row(projects={"P1": {"name": "x"}}))
    assert (rows, fault.kind) == ([], "bad-record")


@pytest.mark.parametrize("body", [b'{"a": 1}', b"broken\nlines", b"[]"])
def test_a_file_that_is_not_labelboxs_is_named_with_the_next_step(body: bytes) -> None:
    with pytest.raises(InputError, match=r"rows\.ndjson.*export"):
        list(read_labelbox(body, stream="s", place="rows.ndjson"))
