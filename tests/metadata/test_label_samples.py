"""Every label file of the shared data, read a second time here with nothing of ours.

``READ`` says for each file how: all labels of a folder are worked out from its files with ``json``,
``csv`` and ``ElementTree`` alone, and must be what ``read_labels`` gives, number for number.
"""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from math import cos, radians, sin
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from services.shared_data import LABELS, needs_data

from trainset.metadata.labels import read_labels


class Label(NamedTuple):
    """One label: ``box`` in pixels, ``fraction`` of the image, ``shape`` the points or runs."""

    media: str
    kind: str
    class_: str | None = None
    box: tuple[float, ...] = ()
    fraction: tuple[float, ...] = ()
    shape: tuple[float, ...] = ()
    text: str | None = None
    score: float | None = None


def _coco(path: Path) -> Iterator[Label]:
    top = json.loads(path.read_text())
    files = {image["id"]: image["file_name"] for image in top["images"]}
    names = {category["id"]: category["name"] for category in top.get("categories", [])}
    for item in top["annotations"]:
        media, shape = files[item["image_id"]], item.get("segmentation")
        if "caption" in item:
            yield Label(media, "caption", text=item["caption"])
            continue
        kind = "box" if not shape else "mask" if isinstance(shape, dict) else "polygon"
        points = () if not shape else shape["counts"] if kind == "mask" else chain(*shape)
        yield Label(
            *(media, kind, names[item["category_id"]]),
            box=tuple(item["bbox"]),
            shape=tuple(points),
        )


def _fiftyone(path: Path) -> Iterator[Label]:
    for sample in json.loads(path.read_text()):
        size = sample["metadata"]["width"], sample["metadata"]["height"]
        if sample["ground_truth"] is None:  # nobody looked at it yet
            yield Label(sample["filepath"], "record")
            continue
        for found in sample["ground_truth"]["detections"]:
            pixels = (value * size[i % 2] for i, value in enumerate(found["bounding_box"]))
            yield Label(sample["filepath"], "box", found["label"], box=tuple(pixels))


def _label_studio(path: Path) -> Iterator[Label]:
    for task in json.loads(path.read_text()):
        upload = task.get("file_upload", "")
        media = upload if "." in upload else task["data"]["image"]
        for item in chain(*(annotation["result"] for annotation in task["annotations"])):
            wide, high = item["original_width"] / 100, item["original_height"] / 100
            value, name = item["value"], item["value"][item["type"]][0]
            kind = item["type"].removesuffix("labels")
            if kind == "polygon":
                points = [(x * wide, y * high) for x, y in value["points"]]
            else:
                points = list(_corners(value, wide, high))
            xs, ys = zip(*points, strict=True)
            turned = kind == "polygon" or value["rotation"]
            yield Label(
                media,
                "box" if kind == "rectangle" else kind,
                name,
                box=(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)),
                shape=tuple(chain(*points)) if turned else (),
            )


def _corners(value: dict[str, Any], wide: float, high: float) -> Iterator[tuple[float, float]]:
    """Of a rectangle that turns clockwise about its top left corner."""
    x, y, angle = value["x"] * wide, value["y"] * high, radians(value["rotation"])
    for right, down in ((0, 0), (1, 0), (1, 1), (0, 1)):
        dx, dy = right * value["width"] * wide, down * value["height"] * high
        yield x + dx * cos(angle) - dy * sin(angle), y + dx * sin(angle) + dy * cos(angle)


def _voc(path: Path) -> Iterator[Label]:
    top = ET.parse(path).getroot()
    for item in [*top.iter("object"), *top.iter("part")]:
        corners = [float(item.find("bndbox").findtext(n)) for n in ("xmin", "ymin", "xmax", "ymax")]
        left, upper, right, lower = corners  # the first and the last pixel, from 1
        box = (left - 1, upper - 1, right - left + 1, lower - upper + 1)
        yield Label(top.findtext("filename"), "box", item.findtext("name"), box=box)


def _yolo(path: Path) -> Iterator[Label]:
    places = {"train": "../../images/train/1", "val": "../../images/val/1"}  # beside "labels"
    for line in path.read_text().splitlines():
        number, x, y, wide, high = map(float, line.split())
        yield Label(
            places.get(path.parent.name, "1"),
            "box",
            f"label_{number:.0f}",  # as all obj.names have it
            fraction=(x - wide / 2, y - high / 2, wide, high),
        )


def _open_images(path: Path) -> Iterator[Label]:
    with (path.parent / "oidv6-class-descriptions.csv").open() as file:
        names = {row["LabelName"]: row["DisplayName"] for row in csv.DictReader(file)}
    with path.open() as file:
        for row in csv.DictReader(file):
            sides = [float(row[key]) for key in row if key[-4:] in ("XMin", "XMax", "YMin", "YMax")]
            box = (sides[0], sides[2], sides[1] - sides[0], sides[3] - sides[2]) if sides else ()
            score = float(row["Confidence"]) if "Confidence" in row else None
            kind = "mask" if "MaskPath" in row else "box" if sides else "class"
            yield Label(row["ImageID"], kind, names[row["LabelName"]], fraction=box, score=score)


# Files by what they lie in -> who reads them here, and how many labels there are, counted by eye.
READ: dict[str, tuple[str, Callable[[Path], Iterator[Label]], int]] = {
    "coco-records.json": ("", _fiftyone, 141),
    "coco_captions": ("annotations/*.json", _coco, 3),
    "coco_instances": ("annotations/*.json", _coco, 3),
    "label_studio_export": ("*.json", _label_studio, 32),
    "open_images": ("annotations/*annotations*.csv", _open_images, 7),
    "voc": ("Annotations/*.xml", _voc, 3),
    "yolo": ("**/1.txt", _yolo, 8),
}
NO_LABELS = {
    *("label_config.xml", "label_config_obb.xml", "label_config_polygons.xml"),  # of the tool
    *("oidv6-class-descriptions.csv", "image_ids_and_rotation.csv", "images.meta"),
    *("bbox_labels_600_hierarchy.json", "obj.names", "obj.data", "train.txt", "README.txt"),
}


def _files(name: str) -> list[Path]:
    pattern = READ[name][0]
    return sorted((LABELS / name).glob(pattern)) if pattern else [LABELS / name]


def _label(row: dict[str, Any]) -> Label:
    geometry = json.loads(row["geometry"] or "{}")
    shape = [*chain(*geometry.get("polygons", ())), *geometry.get("rle", {}).get("counts", ())]
    return Label(
        *(row["media_ref"], row["kind"], row["class"]),
        box=tuple(row["bbox"] or ()),
        fraction=tuple(geometry.get("bbox_fraction", ())),
        shape=tuple(shape),
        text=row["text"],
        score=row["score"],
    )


def _in_order(labels: Iterable[Label]) -> list[Label]:
    def rounded(label: Label) -> tuple[Any, ...]:
        return tuple(
            tuple(round(v, 6) for v in part) if isinstance(part, tuple) else str(part)
            for part in label
        )

    return sorted(labels, key=rounded)


@needs_data
@pytest.mark.parametrize("name", READ)
def test_each_label_is_what_its_file_says(name: str) -> None:
    _, labels_of, count = READ[name]
    table = read_labels(LABELS / name)
    found = _in_order(map(_label, table.to_pylist()))
    expected = _in_order(chain.from_iterable(map(labels_of, _files(name))))
    assert len(found) == len(expected) == count
    for ours, theirs in zip(found, expected, strict=True):
        for part, value, wanted in zip(Label._fields, ours, theirs, strict=True):
            assert value == (pytest.approx(wanted) if isinstance(wanted, tuple) else wanted), part
    rejected = json.loads(table.schema.metadata[b"rejected"])
    assert {item["kind"] for item in rejected} <= {"unknown"}  # files that hold no labels


@needs_data
def test_no_file_of_the_shared_data_is_left_unchecked() -> None:
    checked = {path for name in READ for path in _files(name)}
    files = {path for path in LABELS.rglob("*") if path.is_file()}
    rest = {path for path in files - checked if path.suffix not in (".jpg", ".png")}
    assert {path.name for path in rest} == NO_LABELS
    assert {path.relative_to(LABELS).parts[0] for path in files} == set(READ)
