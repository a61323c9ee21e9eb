"""YOLO, Pascal VOC and Open Images as records; counts and shapes were read off the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from services.shared_data import LABELS, needs_data

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.labels import read_labels
from trainset.metadata.labels.registry import FORMATS


def _read(
    format_: str, text: str, place: str, **beside: str
) -> tuple[list[dict[str, Any]], list[Rejected]]:
    files = [(name.replace("_", "."), body.encode()) for name, body in beside.items()]
    read = FORMATS[format_].read(text.encode(), stream="s", place=place, beside=files)
    items = list(read)
    return (
        [item for item in items if not isinstance(item, Rejected)],
        [item for item in items if isinstance(item, Rejected)],
    )


@needs_data
def test_the_yolo_samples() -> None:
    rows = read_labels(LABELS / "yolo" / "labels" / "labels").to_pylist()
    assert [(r["media_ref"], r["class"]) for r in rows] == [
        ("../../images/train/1", "label_2"),
        ("../../images/train/1", "label_4"),
        ("../../images/val/1", "label_2"),
        ("../../images/val/1", "label_4"),
    ]
    box = json.loads(rows[1]["geometry"])["bbox_fraction"]
    assert box == pytest.approx([0.2, 0.3, 0.133333, 0.3], abs=1e-6)
    strict = read_labels(LABELS / "yolo" / "strict").to_pylist()
    assert [(r["media_ref"], r["class"]) for r in strict] == [("1", "label_2"), ("1", "label_4")]


@needs_data
def test_the_voc_sample() -> None:
    cat, person, head = read_labels(LABELS / "voc").to_pylist()
    assert {r["media_ref"] for r in (cat, person, head)} == {"2007_000001.jpg"}
    assert (cat["class"], cat["bbox"]) == ("cat", [0, 1, 3, 3])
    assert (person["class"], person["bbox"]) == ("person", [3, 4, 3, 3])
    assert (head["class"], head["bbox"]) == ("head", [4.5, 5, 3, 3])
    assert json.loads(cat["attributes"])["truncated"] == 1
    assert json.loads(head["attributes"])["part_of"] == "person"


@needs_data
def test_the_open_images_samples() -> None:
    rows = read_labels(LABELS / "open_images").to_pylist()
    kinds = [row["kind"] for row in rows]
    assert (kinds.count("box"), kinds.count("class"), kinds.count("mask")) == (2, 4, 1)
    (c,) = (r for r in rows if r["kind"] == "box" and r["media_ref"] == "c")
    assert (c["class"], c["score"]) == ("Generic label #3", 0.7)
    box = json.loads(c["geometry"])["bbox_fraction"]
    assert box == pytest.approx([0.7, 0, 0.1, 0.5])
    assert json.loads(c["attributes"])["IsGroupOf"] == 1
    (no,) = (r for r in rows if r["kind"] == "class" and r["media_ref"] == "b")
    assert no["score"] == 0


def test_yolo_shapes_are_told_by_how_many_numbers_a_line_has() -> None:
    text = "0 .5 .5 .2 .4\n1 .1 .1 .2 .1 .2 .2\n0 .1 .1 .2 .1 .2 .2 .1 .2\n0 .5 .5 .2 .4 .9\n"
    rows, none = _read("yolo", text, "x/labels/a.txt", data_yaml="names: [cat, dog]")
    assert none == []
    assert [r["kind"] for r in rows] == ["box", "polygon", "polygon", "box"]
    assert [r["class"] for r in rows] == ["cat", "dog", "cat", "cat"]
    assert {r["media_ref"] for r in rows} == {"../images/a"}
    assert rows[3]["score"] == 0.9


def test_yolo_keypoints_need_the_shape_that_data_yaml_says() -> None:
    yaml = "names: {0: cat}\nkpt_shape: [2, 3]\n"
    (row,), _ = _read("yolo", "0 .5 .5 .2 .4 .1 .2 2 .3 .4 0\n", "a.txt", data_yaml=yaml)
    assert row["kind"] == "keypoints"
    assert json.loads(row["geometry"])["keypoints_fraction"] == [0.1, 0.2, 2, 0.3, 0.4, 0]


def test_an_empty_yolo_file_says_that_its_medium_holds_nothing() -> None:
    (row,), _ = _read("yolo", "\n", "x/a.txt")
    assert (row["kind"], row["media_ref"]) == ("empty", "a")


def test_without_class_names_the_class_is_its_number() -> None:
    (row,), _ = _read("yolo", "7 .5 .5 .1 .1", "a.txt")
    assert row["class"] == "7"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("x .5 .5 .1 .1", "bad-row"),
        ("9 .5 .5 .1 .1", "unknown-class"),
        ("0 .5 .5 .1", "bad-geometry"),
        ("0 .5 .5 -.1 .1", "bad-geometry"),
        ("0 100 200 30 40", "bad-geometry"),
        ("0 .5 nan .1 .1", "bad-geometry"),
    ],
)
def test_a_bad_yolo_line_is_kept_aside_and_spoils_no_other(line: str, kind: str) -> None:
    rows, (fault,) = _read("yolo", line + "\n0 .5 .5 .1 .1\n", "a.txt", classes_txt="cat\ndog\n")
    assert len(rows) == 1
    assert (fault.kind, fault.original, fault.record) == (kind, line, "a.txt line 1")


def test_voc_without_objects_is_empty_and_swapped_corners_are_refused() -> None:
    (row,), _ = _read("voc", "<annotation><filename>a.jpg</filename></annotation>", "a.xml")
    assert (row["kind"], row["media_ref"]) == ("empty", "a.jpg")
    corners = "<bndbox><xmin>9</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
    text = f"<annotation><object><name>cat</name>{corners}</object></annotation>"
    rows, (fault,) = _read("voc", text, "a.xml")
    assert (rows, fault.kind) == ([], "bad-geometry")


def test_voc_names_its_medium_without_the_folder_where_it_once_lay() -> None:
    head = "<folder>VOC2007</folder><filename>a.jpg</filename><path>/home/ann/VOC2007/a.jpg</path>"
    (row,), _ = _read("voc", f"<annotation>{head}</annotation>", "Annotations/a.xml")
    assert row["media_ref"] == "a.jpg"


def test_voc_corners_below_one_count_from_zero() -> None:
    corners = "<bndbox><xmin>0</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
    text = f"<annotation><object><name>cat</name>{corners}</object></annotation>"
    (row,), _ = _read("voc", text, "a.xml")
    assert (row["bbox"], row["media_ref"]) == ([0, 2, 3, 2], "a")


def test_broken_xml_is_named_with_the_next_step() -> None:
    with pytest.raises(InputError, match=r"a\.xml.*write the file again"):
        _read("voc", "<annotation>", "a.xml")


def test_a_place_without_known_labels_lists_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("hello")
    with pytest.raises(InputError, match=r"COCO JSON, .*YOLO text, Pascal VOC XML"):
        read_labels(tmp_path)
    with pytest.raises(InputError, match="open-images"):
        read_labels(tmp_path, "kitti")


def test_class_names_above_the_folder_are_found_and_empty_files_belong(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [cat]\n")
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "a.txt").write_text("0 .5 .5 .1 .1\n0 broken\n")
    (folder / "b.txt").write_text("")
    table = read_labels(folder)
    assert table["class"].to_pylist() == ["cat", None]
    assert table["kind"].to_pylist() == ["box", "empty"]
    (fault,) = json.loads(table.schema.metadata[b"rejected"])
    assert fault["original"] == "0 broken"
