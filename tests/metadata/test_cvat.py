"""CVAT XML 1.1 as records: images, tracks of videos, and what is wrong in either."""

from __future__ import annotations

from typing import Any

import pytest
from services.label_rows import Rows, label_rows

from trainset.errors import InputError
from trainset.metadata.labels.cvat import read_cvat

TASK = "<meta><task><id>4</id><source>{}</source></task></meta>"


def _read(*parts: str) -> Rows:
    body = f"<?xml version='1.0'?><annotations><version>1.1</version>{''.join(parts)}</annotations>"
    return label_rows(read_cvat(body.encode(), stream="s", place="cvat.xml"))


def _image(*shapes: str, name: str = "a/b.jpg") -> str:
    return f'<image id="3" name="{name}" width="40" height="30">{"".join(shapes)}</image>'


def _one(shape: str) -> dict[str, Any]:
    (row,), none = _read(_image(shape))
    assert none == []
    assert row["media_ref"] == "a/b.jpg"
    return row


def test_a_box_with_its_attributes() -> None:
    row = _one(
        '<box label="car" source="manual" occluded="1" z_order="2" xtl="1" ytl="2" xbr="4.5" '
        'ybr="8"><attribute name="colour">red</attribute></box>'
    )
    assert (row["kind"], row["class"], row["bbox"]) == ("box", "car", [1, 2, 3.5, 6])
    assert row["record_id"] == "image-3.0"
    assert row["geometry"] is None
    assert row["attributes"] == {
        **{"image_width": 40, "image_height": 30, "id": "3", "source": "manual"},
        **{"occluded": True, "z_order": 2, "answers": {"colour": "red"}},
    }


def test_a_box_turns_about_its_centre() -> None:
    row = _one('<box label="car" xtl="10" ytl="10" xbr="20" ybr="12" rotation="90"/>')
    assert row["bbox"] == pytest.approx([14, 6, 2, 10])  # about (15, 11)
    corners = [16, 6, 16, 16, 14, 16, 14, 6]  # clockwise: top left goes to top right
    assert row["geometry"]["polygons"][0] == pytest.approx(corners)
    assert row["geometry"]["turned_bbox"] == [10, 10, 10, 2]


@pytest.mark.parametrize(
    ("shape", "kind", "bbox", "geometry"),
    [
        (
            '<polygon label="a" points="0,0;4,0;4,3.5"/>',
            "polygon",
            [0, 0, 4, 3.5],
            {"polygons": [[0, 0, 4, 0, 4, 3.5]]},
        ),
        (
            '<polyline label="a" points="1,1;4,3"/>',
            "polyline",
            [1, 1, 3, 2],
            {"polyline": [1, 1, 4, 3]},
        ),
        ('<points label="a" points="1,2"/>', "keypoints", None, {"keypoints": [1, 2, 2]}),
        (
            '<points label="a" points="1,2;3,4"/>',
            "keypoints",
            [1, 2, 2, 2],
            {"keypoints": [1, 2, 2, 3, 4, 2]},
        ),
        (
            '<ellipse label="a" cx="10" cy="10" rx="4" ry="2"/>',
            "ellipse",
            [6, 8, 8, 4],
            {"ellipse": [10, 10, 4, 2, 0]},
        ),
        (
            '<mask label="a" rle="1, 2, 3" left="5" top="6" width="3" height="2"/>',
            "mask",
            [5, 6, 3, 2],
            {"cvat_rle": {"counts": [1, 2, 3], "box": [5, 6, 3, 2]}},
        ),
        ('<tag label="a" source="manual"/>', "class", None, None),
        (
            '<skeleton label="a"><points label="head" points="1,2" outside="0" occluded="1"/>'
            '<points label="tail" points="9,9" outside="1"/>'
            '<points label="foot" points="3,5" outside="0"/></skeleton>',
            "keypoints",
            [1, 2, 2, 3],
            {"keypoints": [1, 2, 1, 0, 0, 0, 3, 5, 2]},
        ),
    ],
)
def test_each_shape_has_its_geometry(
    shape: str, kind: str, bbox: list[float] | None, geometry: dict[str, Any] | None
) -> None:
    row = _one(shape)
    assert (row["kind"], row["class"], row["bbox"]) == (kind, "a", bbox)
    assert row["geometry"] == geometry


def test_a_cuboid_has_eight_corners_and_a_hull() -> None:
    near = 'xtl1="0" ytl1="1" xbl1="0" ybl1="5" xtr1="4" ytr1="1" xbr1="4" ybr1="5"'
    far = 'xtl2="2" ytl2="0" xbl2="2" ybl2="4" xtr2="6" ytr2="0" xbr2="6" ybr2="4"'
    row = _one(f'<cuboid label="van" {near} {far}/>')
    assert (row["kind"], row["bbox"]) == ("cuboid", [0, 0, 6, 5])
    assert row["geometry"]["cuboid"] == [0, 1, 0, 5, 4, 1, 4, 5, 2, 0, 2, 4, 6, 0, 6, 4]


def test_an_image_without_shapes_is_empty_and_one_with_bad_shapes_is_not() -> None:
    rows, none = _read(_image())
    assert none == []
    assert [(r["kind"], r["media_ref"]) for r in rows] == [("empty", "a/b.jpg")]
    rows, (fault,) = _read(_image('<box label="car" xtl="a" ytl="0" xbr="1" ybr="1"/>'))
    assert rows == []
    assert fault.kind == "bad-geometry"


def _track(*boxes: str, more: str = "") -> str:
    return f'<track id="0" label="dog" source="manual" {more}>{"".join(boxes)}</track>'


def _at(frame: int, **flags: int) -> str:
    said = " ".join(f'{k}="{v}"' for k, v in flags.items())
    return f'<box frame="{frame}" xtl="1" ytl="1" xbr="3" ybr="3" {said}/>'


def test_a_track_is_one_record_a_frame_and_none_drawn_where_it_is_outside() -> None:
    boxes = (_at(0, keyframe=1, outside=0), _at(1, keyframe=0), _at(2, keyframe=1, outside=1))
    rows, none = _read(TASK.format("drive.mp4"), _track(*boxes))
    assert none == []
    assert [(r["record_id"], r["kind"], r["class"]) for r in rows] == [
        ("track-0@0", "box", "dog"),
        ("track-0@1", "box", "dog"),
        ("track-0@2", "record", None),
    ]
    assert {row["media_ref"] for row in rows} == {"drive.mp4"}
    assert [row["geometry"]["frame"] for row in rows] == [0, 1, 2]
    assert [row["attributes"].get("keyframe") for row in rows] == [True, None, True]
    assert rows[2]["attributes"]["label"] == "dog"


def test_tracks_of_a_project_name_the_video_of_their_task() -> None:
    tasks = "".join(
        f"<task><id>{i}</id><source>{i}.mp4</source></task>" for i in (4, 5)
    )  # fmt: skip
    meta = f"<meta><project><tasks>{tasks}</tasks></project></meta>"
    rows, none = _read(meta, *(_track(_at(0), more=f'task_id="{i}"') for i in (4, 5)))
    assert none == []
    assert [row["media_ref"] for row in rows] == ["4.mp4", "5.mp4"]
    assert [row["record_id"] for row in rows] == ["track-4-0@0", "track-5-0@0"]
    rows, (fault,) = _read(meta, _track(_at(0), more='task_id="6"'))
    assert (rows, fault.kind) == ([], "no-media-ref")


def test_tracks_without_a_named_video_are_kept_aside_whole() -> None:
    rows, (fault,) = _read("<meta><task><id>4</id></task></meta>", _track(_at(0), _at(1)))
    assert (rows, fault.kind) == ([], "no-media-ref")
    assert fault.original.count("<box") == 2
    assert "CVAT for images 1.1" in fault.reason


def test_a_video_without_tracks_is_empty() -> None:
    (row,), none = _read(TASK.format("drive.mp4"))
    assert none == []
    assert (row["kind"], row["media_ref"]) == ("empty", "drive.mp4")


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ('<box label="a" xtl="3" ytl="0" xbr="1" ybr="1"/>', "bad-geometry"),
        ('<box label="a" ytl="0" xbr="1" ybr="1"/>', "bad-geometry"),
        ('<box label="a" xtl="nan" ytl="0" xbr="1" ybr="1"/>', "bad-geometry"),
        ('<box xtl="0" ytl="0" xbr="1" ybr="1"/>', "no-class"),
        ('<polygon label="a" points="0,0;1,1"/>', "bad-geometry"),
        ('<polygon label="a" points="0,0;1;2,2"/>', "bad-geometry"),
        ('<ellipse label="a" cx="1" cy="1" rx="-4" ry="2"/>', "bad-geometry"),
        ('<mask label="a" rle="1, 2" left="5" top="6" width="3" height="2"/>', "bad-geometry"),
        ('<mask label="a" left="5" top="6" width="3" height="2"/>', "bad-geometry"),
        ('<skeleton label="a"/>', "bad-geometry"),
        ('<blob label="a"/>', "unknown-shape"),
    ],
)
def test_a_bad_shape_is_kept_aside_whole_and_spoils_no_other(shape: str, kind: str) -> None:
    rows, (fault,) = _read(_image(shape, '<tag label="good"/>'))
    assert [row["class"] for row in rows] == ["good"]
    assert fault.kind == kind
    assert fault.original.startswith(shape.split(" ")[0].rstrip("/>"))
    assert "a/b.jpg" in fault.record


def test_an_image_without_a_name_and_a_foreign_element_are_kept_aside() -> None:
    rows, faults = _read(_image(name=""), "<cluster/>", _image())
    assert [row["kind"] for row in rows] == ["empty"]
    assert [fault.kind for fault in faults] == ["no-media-ref", "bad-record"]


@pytest.mark.parametrize("body", [b"<annotation/>", b"<annotations><image>", b"no xml"])
def test_a_file_that_is_not_cvats_is_named_with_the_next_step(body: bytes) -> None:
    with pytest.raises(InputError, match=r"cvat\.xml.*export"):
        list(read_cvat(body, stream="s", place="cvat.xml"))


def test_entities_that_grow_without_bound_are_refused() -> None:
    levels = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    body = f'<!DOCTYPE a [<!ENTITY e0 "{"x" * 50}">{levels}]><annotations>&e11;</annotations>'
    with pytest.raises(InputError, match="broken XML"):
        list(read_cvat(body.encode(), stream="s", place="cvat.xml"))
