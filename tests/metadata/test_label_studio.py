"""Label Studio exports as records: counts and shapes were worked out from the files by hand."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from services.label_rows import Rows, label_rows
from services.shared_data import LABELS, needs_data

from trainset.errors import InputError
from trainset.metadata.labels.label_studio import read_label_studio

FOLDER = LABELS / "label_studio_export"
SIZE = {"original_width": 200, "original_height": 100}


def _read(data: Any) -> Rows:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return label_rows(read_label_studio(body, stream="s", place="export.json"))


def _result(kind: str, id_: str = "r1", **value: Any) -> dict[str, Any]:
    names = {"from_name": "tag", "to_name": "image"}
    return {"id": id_, "type": kind, "value": value, **names, **SIZE}


def _task(*results: Any, **parts: Any) -> dict[str, Any]:
    annotation = {"id": 5, "completed_by": 1, "was_cancelled": False, "result": list(results)}
    return {"id": 9, "data": {"image": "a.jpg"}, "annotations": [annotation], **parts}


def _one(*results: Any, **parts: Any) -> dict[str, Any]:
    (row,), none = _read([_task(*results, **parts)])
    assert none == []
    return row


@needs_data
def test_boxes_of_two_annotators_are_six_records_in_pixels() -> None:
    rows, none = _read((FOLDER / "data.json").read_bytes())
    assert none == []
    assert len(rows) == 6
    assert [row["class"] for row in rows].count("white") == 4
    assert {row["media_ref"] for row in rows} == {"/image1", "/image2"}
    first = rows[0]  # 37.158…, 70.674…, 4.189…, 4.736… per cent of 2800 x 2800
    assert first["bbox"] == pytest.approx([1040.437158, 1978.870673, 117.304189, 132.604735])
    assert (first["kind"], first["geometry"]) == ("box", None)
    assert [row["attributes"]["annotator"] for row in rows] == [2, 2, 1, 1, 1, 1]
    assert first["record_id"] == "1-C7oHaRDVVC"


@needs_data
def test_turned_boxes_have_corners_and_an_upright_hull() -> None:
    rows, none = _read((FOLDER / "data_obb.json").read_bytes())
    assert none == []
    assert len(rows) == 25
    assert [row["class"] for row in rows].count("Butterfly") == 24  # one is spelled small
    assert all(row["kind"] == "box" for row in rows)
    row = rows[-1]  # 5.1223…, 40.399…, 45.446…, 19.298… of 716 x 768, turned by 348.08878…
    x, y, w, h = 36.676162, 310.264630, 325.396631, 148.214516
    assert row["geometry"]["turned_bbox"] == pytest.approx([x, y, w, h])
    cos, sin = math.cos(math.radians(348.088785)), math.sin(math.radians(348.088785))
    corners = [
        *(x, y, x + w * cos, y + w * sin),
        *(x + w * cos - h * sin, y + w * sin + h * cos, x - h * sin, y + h * cos),
    ]
    assert row["geometry"]["polygons"][0] == pytest.approx(corners)
    assert row["bbox"][:2] == pytest.approx([x, y + w * sin])  # leftmost is the top left corner
    assert row["bbox"][2:] == pytest.approx([w * cos - h * sin, h * cos - w * sin])


@needs_data
def test_a_polygon_is_in_pixels_and_its_uploaded_file_names_the_medium() -> None:
    (row,), none = _read((FOLDER / "data_polygons.json").read_bytes())
    assert none == []
    assert (row["kind"], row["class"]) == ("polygon", "Airplane")
    assert row["media_ref"] == "e97d4735-000000000025.jpg"
    (flat,) = row["geometry"]["polygons"]
    assert len(flat) == 37 * 2
    assert flat[:2] == pytest.approx([60 / 100 * 640, 19.55922865 / 100 * 426])
    assert row["attributes"]["data"] == {"image": "/image2"}


def test_a_task_without_results_is_empty_a_cancelled_one_skipped_a_new_one_neither() -> None:
    skipped = _task()
    skipped["annotations"][0] |= {"was_cancelled": True, "result": [_result("choices")]}
    rows, none = _read([_task(), skipped, _task(annotations=[])])
    assert none == []
    assert [row["kind"] for row in rows] == ["empty", "skipped", "record"]
    assert {row["media_ref"] for row in rows} == {"a.jpg"}
    assert len(rows[1]["attributes"]["result"]) == 1  # what was drawn is not lost


def test_predictions_are_kept_apart_with_their_score() -> None:
    box = _result("rectanglelabels", x=0, y=0, width=50, height=50, rectanglelabels=["cat"])
    prediction = {"id": 3, "score": 0.5, "model_version": "m1", "result": [box]}
    scored = {"id": 4, "score": 0.5, "result": [{**box, "score": 0.9}]}
    rows, none = _read([_task(box, predictions=[prediction, scored])])
    assert none == []
    assert [(r["kind"], r["score"]) for r in rows] == [
        ("box", None),
        ("prediction", 0.5),
        ("prediction", 0.9),
    ]
    assert rows[1]["attributes"]["shape"] == "box"
    assert rows[1]["attributes"]["model_version"] == "m1"
    assert rows[1]["bbox"] == rows[0]["bbox"] == [0, 0, 100, 50]


def test_items_of_one_region_are_one_record() -> None:
    spot = {"x": 10, "y": 10, "width": 5, "height": 5}
    row = _one(
        _result("rectangle", **spot, rotation=0),
        _result("labels", **spot, labels=["sign"]),
        _result("textarea", **spot, text=["STOP", "ALL WAY"]),
        {**_result("choices", **spot, choices=["dirty"]), "from_name": "state"},
    )
    assert (row["kind"], row["class"], row["text"]) == ("box", "sign", "STOP\nALL WAY")
    assert row["bbox"] == [20, 10, 10, 5]
    assert row["attributes"]["answers"] == {"state": ["dirty"]}


def test_speech_with_times_and_its_transcription_is_one_caption_in_seconds() -> None:
    span = {"start": 1.5, "end": 4, "channel": 0}
    data = {"data": {"audio": "s3://b/talk.wav"}}
    items = [_result("labels", **span, labels=["Ann"]), _result("textarea", **span, text=["hi"])]
    row = _one(*items, **data)
    assert (row["class"], row["text"], row["media_ref"]) == ("Ann", "hi", "s3://b/talk.wav")
    assert row["geometry"] == {"start_s": 1.5, "end_s": 4}
    unnamed = _one(_result("textarea", **span, text=["hi"]), **data)
    assert (unnamed["kind"], unnamed["text"]) == ("caption", "hi")


@pytest.mark.parametrize(
    ("result", "kind", "bbox", "geometry"),
    [
        (
            _result("keypointlabels", x=50, y=50, width=0.5, keypointlabels=["eye"]),
            "keypoints",
            None,
            {"keypoints": [100, 50, 2]},
        ),
        (
            _result("brushlabels", format="rle", rle=[0, 1, 255], brushlabels=["eye"]),
            "mask",
            None,
            {"label_studio_rle": [0, 1, 255], "size": [100, 200]},
        ),
        (
            _result("ellipselabels", x=50, y=50, radiusX=5, radiusY=20, ellipselabels=["eye"]),
            "ellipse",
            [90, 30, 20, 40],
            {"ellipse": [100, 50, 10, 20, 0]},
        ),
        (
            _result(
                "vectorlabels", vertices=[{"x": 0, "y": 0}, {"x": 50, "y": 50}], labels=["eye"]
            ),
            "polyline",
            [0, 0, 100, 50],
            {"polyline": [0, 0, 100, 50]},
        ),
        (
            _result("timelinelabels", ranges=[{"start": 3, "end": 9}], timelinelabels=["eye"]),
            "class",
            None,
            {"span": {"ranges": [{"start": 3, "end": 9}]}},
        ),
    ],
)
def test_each_control_has_its_geometry(
    result: dict[str, Any], kind: str, bbox: list[float] | None, geometry: dict[str, Any]
) -> None:
    row = _one(result)
    assert (row["kind"], row["class"]) == (kind, "eye")
    assert row["bbox"] == (None if bbox is None else pytest.approx(bbox))
    assert row["geometry"] == geometry


def test_without_the_images_size_shapes_stay_fractions() -> None:
    result = _result("rectanglelabels", x=10, y=20, width=30, height=40, rectanglelabels=["a"])
    row = _one({k: v for k, v in result.items() if not k.startswith("original")})
    assert row["bbox"] is None
    assert row["geometry"] == {"bbox_fraction": pytest.approx([0.1, 0.2, 0.3, 0.4])}


def test_a_video_box_is_one_record_a_key_frame_counted_from_0() -> None:
    spot = {"x": 0, "y": 0, "width": 10, "height": 10, "rotation": 0, "enabled": True}
    frames = [{**spot, "frame": 1, "time": 0.04}, {**spot, "frame": 9, "time": 0.36}]
    rows, none = _read([_task(_result("videorectangle", sequence=frames, labels=["dog"]))])
    assert none == []
    assert [row["geometry"]["frame"] for row in rows] == [0, 8]
    assert [row["geometry"]["time_s"] for row in rows] == [0.04, 0.36]
    assert {row["class"] for row in rows} == {"dog"}
    assert len({row["record_id"] for row in rows}) == 2


def test_answers_about_the_whole_medium() -> None:
    rows, none = _read(
        [
            _task(
                _result("choices", "a", choices=["day", "wet"]),
                _result("taxonomy", "b", taxonomy=[["animal", "cat"]]),
                _result("textarea", "c", text=["a cat"]),
                _result("rating", "d", rating=4),
            )
        ]
    )
    assert none == []
    assert [(r["kind"], r["class"], r["text"]) for r in rows] == [
        ("class", "day", None),
        ("class", "wet", None),
        ("class", "animal/cat", None),
        ("caption", None, "a cat"),
        ("record", None, None),
    ]
    assert rows[-1]["attributes"]["answer"] == {"rating": 4}


def test_relations_are_attributes_of_where_they_start() -> None:
    spot = {"x": 1, "y": 1, "width": 1, "height": 1, "rectanglelabels": ["a"]}
    link = {"type": "relation", "from_id": "r1", "to_id": "r2", "direction": "right"}
    loose = {"type": "relation", "from_id": "gone", "to_id": "r1"}
    rows, (fault,) = _read(
        [_task(_result("rectanglelabels", **spot), _result("rectanglelabels", "r2", **spot), link,
               loose)]
    )  # fmt: skip
    assert rows[0]["attributes"]["relations"] == [{"to_id": "r2", "direction": "right"}]
    assert "relations" not in rows[1]["attributes"]
    assert (fault.kind, json.loads(fault.original)) == ("bad-relation", loose)


@pytest.mark.parametrize(
    ("data", "ref"),
    [
        ({"image": "/data/upload/3/821822e5-cat.jpg"}, "/data/upload/3/821822e5-cat.jpg"),
        ({"image": "/data/local-files/?d=set%20a/cat.jpg"}, "set a/cat.jpg"),
        (
            {"url": "/tasks/7/resolve/?fileuri=" + base64.b64encode(b"s3://b/c.png").decode()},
            "s3://b/c.png",
        ),
        ({"text": "see a.b/c", "photo": "cats/1.png", "page": "https://x/y"}, "cats/1.png"),
    ],
)
def test_the_medium_is_found_behind_label_studios_addresses(data: Any, ref: str) -> None:
    assert _one(_result("choices", choices=["x"]), data=data)["media_ref"] == ref


def test_pages_and_several_media_are_told_apart_or_rejected() -> None:
    page = {**_result("choices", choices=["x"]), "item_index": 1}
    assert _one(page, data={"pages": ["1.png", "2.png"]})["media_ref"] == "2.png"
    two = {"image": "a.jpg", "mask": "b.png"}
    assert _one(_result("choices", choices=["x"]), data=two)["media_ref"] == "a.jpg"
    other = {**_result("choices", choices=["x"]), "to_name": "picture"}
    rows, (fault,) = _read([_task(other, data=two)])
    assert (rows, fault.kind) == ([], "ambiguous-media")


def test_a_storages_file_holds_one_annotation_with_its_task() -> None:
    annotation = {"id": 5, "result": [_result("choices", choices=["x"])]}
    (row,), none = _read({**annotation, "task": {"id": 9, "data": {"image": "a.jpg"}}})
    assert none == []
    assert (row["class"], row["attributes"]["task"]) == ("x", 9)


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (_result("rectanglelabels", x="a", y=0, width=1, height=1), "bad-geometry"),
        (_result("rectanglelabels", x=0, y=0, width=-1, height=1), "bad-geometry"),
        (_result("polygonlabels", points=[[0, 0], [1, 1]]), "bad-geometry"),
        (_result("polygonlabels", points=[0, 1, 2]), "bad-geometry"),
        (_result("vectorlabels", vertices=[3]), "bad-geometry"),
        (_result("brushlabels", rle="abc"), "bad-geometry"),
        (_result("labels", start=4, end=1), "bad-geometry"),
        (_result("videorectangle", sequence=[{"x": 1}]), "bad-geometry"),
        (_result("choices", choices=[{"a": 1}]), "bad-record"),
        (_result("taxonomy", taxonomy=[3]), "bad-record"),
        ({**_result("rectanglelabels", x=0, y=0, width=1, height=1), "original_width": 0},
         "bad-geometry"),
        ({"id": "r1", "type": "choices"}, "bad-record"),
        ([1], "bad-record"),
    ],
)  # fmt: skip
def test_a_bad_result_is_kept_whole_and_spoils_no_other(result: Any, kind: str) -> None:
    rows, (fault,) = _read([_task(result, _result("choices", "good", choices=["x"]))])
    assert [row["class"] for row in rows] == ["x"]
    assert fault.kind == kind
    assert fault.record.startswith("task 9, annotation 5")
    assert json.loads(fault.original) in (result, [result])


@pytest.mark.parametrize("task", [3, {"id": 1}, {"data": {"a": 1}, "annotations": 1.5}])
def test_a_bad_task_is_kept_whole_and_spoils_no_other(task: Any) -> None:
    rows, (fault,) = _read([task, _task()])
    assert [row["kind"] for row in rows] == ["empty"]
    assert json.loads(fault.original) == task


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"images": []}', b"3"])
def test_a_file_that_is_not_label_studios_is_named_with_the_next_step(body: bytes) -> None:
    with pytest.raises(InputError, match=r"export\.json"):
        _read(body)
