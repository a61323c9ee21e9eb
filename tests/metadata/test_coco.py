"""COCO files as records: the counts and shapes below were read off the files by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from services.shared_data import LABELS, needs_data

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.labels.coco import read_coco


def _read(data: Any) -> tuple[list[dict[str, Any]], list[Rejected]]:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    items = list(read_coco(body, stream="s", place="labels.json"))
    return (
        [item for item in items if not isinstance(item, Rejected)],
        [item for item in items if isinstance(item, Rejected)],
    )


def _coco(**parts: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 8}],
        "categories": [{"id": 3, "name": "cat"}],
        "annotations": [],
        **parts,
    }


def _box(**parts: Any) -> dict[str, Any]:
    return {"id": 7, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], **parts}


@needs_data
def test_boxes_polygons_and_masks_of_datumaros_sample() -> None:
    folder = LABELS / "coco_instances" / "annotations"
    (train,), none = _read((folder / "instances_train.json").read_bytes())
    assert none == []
    assert (train["kind"], train["class"], train["bbox"]) == ("box", "b", [2.0, 2.0, 3.0, 1.0])
    assert (train["media_ref"], train["record_id"]) == ("a.jpg", "1")
    assert json.loads(train["attributes"])["area"] == 3.0

    (polygon, mask), none = _read((folder / "instances_val.json").read_bytes())
    assert none == []
    assert (polygon["kind"], polygon["class"]) == ("polygon", "a")
    assert json.loads(polygon["geometry"]) == {"polygons": [[0, 0, 1, 0, 1, 2, 0, 2]]}
    assert json.loads(polygon["attributes"])["attributes"] == {"x": 1, "y": "hello"}
    assert (mask["kind"], mask["class"], mask["bbox"]) == ("mask", "b", [0.0, 0.0, 1.0, 9.0])
    assert json.loads(mask["geometry"]) == {"rle": {"counts": [0, 20, 30], "size": [10, 5]}}
    assert json.loads(mask["attributes"])["iscrowd"] == 1


@needs_data
def test_captions_of_datumaros_sample_need_no_category() -> None:
    folder = LABELS / "coco_captions" / "annotations"
    (train,), none = _read((folder / "captions_train.json").read_bytes())
    val, none_either = _read((folder / "captions_val.json").read_bytes())
    assert none == none_either == []
    assert (train["kind"], train["text"], train["class"]) == ("caption", "hello", None)
    assert [row["text"] for row in val] == ["world", "text"]
    assert {row["media_ref"] for row in val} == {"b.jpg"}


def test_an_image_without_annotations_is_empty_and_not_unlabelled() -> None:
    (row,), none = _read(_coco())
    assert none == []
    assert (row["kind"], row["media_ref"], row["record_id"]) == ("empty", "a.jpg", "image-1")


def test_an_image_whose_annotations_are_all_rejected_is_not_called_empty() -> None:
    rows, (fault,) = _read(_coco(annotations=[_box(category_id=99)]))
    assert rows == []
    assert fault.kind == "unknown-category"


def test_keypoints_keep_their_triples() -> None:
    (row,), _ = _read(_coco(annotations=[_box(keypoints=[1, 2, 2, 5, 6, 0], num_keypoints=1)]))
    assert row["kind"] == "keypoints"
    assert json.loads(row["geometry"])["keypoints"] == [1, 2, 2, 5, 6, 0]
    assert json.loads(row["attributes"])["num_keypoints"] == 1


def test_an_annotation_with_a_category_alone_is_a_class() -> None:
    (row,), _ = _read(_coco(annotations=[{"id": 1, "image_id": 1, "category_id": 3}]))
    assert (row["kind"], row["class"], row["bbox"]) == ("class", "cat", None)


def test_an_image_may_be_named_by_its_url_alone() -> None:
    images = [{"id": 1, "coco_url": "http://host/train/a.jpg"}]
    (row,), _ = _read(_coco(images=images))
    assert row["media_ref"] == "http://host/train/a.jpg"


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (_box(image_id=99), "unknown-image"),
        (_box(image_id=[1]), "unknown-image"),
        (_box(category_id=None), "unknown-category"),
        (_box(bbox=[1, 2, 3]), "bad-geometry"),
        (_box(bbox=[1, 2, -3, 4]), "bad-geometry"),
        (_box(bbox=[1, 2, float("nan"), 4]), "bad-geometry"),
        (_box(bbox="1,2,3,4"), "bad-geometry"),
        (_box(segmentation=[[0, 0, 1, 1]]), "bad-geometry"),
        (_box(segmentation={"counts": 5, "size": 3}), "bad-geometry"),
        (_box(keypoints=[1, 2]), "bad-geometry"),
        (_box(score="high"), "bad-value"),
        (_box(caption="\ud800"), "encoding"),
        (_box(segments_info=[]), "bad-geometry"),  # no PNG is named
        (_box(segments_info=3, file_name="a.png"), "bad-record"),
        ([1, 2], "bad-record"),
    ],
)
def test_a_bad_annotation_is_kept_aside_whole_and_spoils_no_other(
    annotation: Any, kind: str
) -> None:
    rows, (fault,) = _read(_coco(annotations=[annotation, _box(id=8)]))
    assert [row["record_id"] for row in rows] == ["8"]
    assert (fault.kind, fault.record) == (kind, "annotations[0]")
    # dumped twice: NaN is a string after reading
    assert json.loads(fault.original) == json.loads(json.dumps(annotation), parse_constant=str)


def test_panoptic_segments_are_masks_in_a_png_that_is_named() -> None:
    segments = [
        {"id": 5, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 9, "iscrowd": 0},
        {"id": 6, "category_id": 99, "bbox": [1, 2, 3, 4], "area": 9},
    ]
    images = [{"id": i, "file_name": f"{name}.jpg"} for i, name in ((1, "a"), (2, "b"))]
    annotations = [
        {"image_id": 1, "file_name": "a.png", "segments_info": segments},
        {"image_id": 2, "file_name": "b.png", "segments_info": []},
    ]
    (mask, empty), (fault,) = _read(_coco(images=images, annotations=annotations))
    assert (mask["kind"], mask["class"], mask["bbox"]) == ("mask", "cat", [1, 2, 3, 4])
    assert (mask["media_ref"], mask["record_id"]) == ("a.jpg", "1.5")
    assert json.loads(mask["geometry"]) == {"mask_png": "a.png", "segment_id": 5}
    assert json.loads(mask["attributes"])["area"] == 9
    assert (empty["kind"], empty["media_ref"], empty["bbox"]) == ("empty", "b.jpg", None)
    assert (fault.kind, fault.record) == ("unknown-category", "annotations[0].segments_info[1]")
    assert json.loads(fault.original) == segments[1]


def test_compressed_masks_keep_their_text() -> None:
    shape = {"counts": "`^R<0e-1", "size": [8, 10]}
    (row,), _ = _read(_coco(annotations=[_box(segmentation=shape, iscrowd=1)]))
    assert (row["kind"], json.loads(row["geometry"])) == ("mask", {"rle": shape})


def test_two_labels_under_one_id_are_two_labels() -> None:
    rows, none = _read(_coco(annotations=[_box(), _box(bbox=[5, 5, 1, 1])]))
    assert [row["record_id"] for row in rows] == ["7", "7~2"]
    assert none == []


def test_a_label_that_stands_twice_word_for_word_is_taken_once() -> None:
    rows, (fault,) = _read(_coco(annotations=[_box(), _box()]))
    assert len(rows) == 1
    assert fault.kind == "duplicate-record"


def test_labels_of_an_image_id_that_names_two_files_are_not_guessed() -> None:
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}]
    rows, faults = _read(_coco(images=images, annotations=[_box()]))
    assert rows == []
    assert [fault.kind for fault in faults] == ["duplicate-id", "duplicate-id"]
    assert [fault.record for fault in faults] == ["images[1]", "annotations[0]"]


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"images": 3}', b'{"images": [], "annotations": 4}']
)
def test_a_file_that_is_not_coco_is_named_with_the_next_step(body: bytes) -> None:
    with pytest.raises(InputError, match=r"labels\.json"):
        _read(body)
