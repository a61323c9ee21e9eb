"""The label files of ``benchmarks/labels.py``: made up, the same in every run.

They are shaped as tools write them. Each image has ten labels. COCO has polygons of about 20 points
(every tenth label is a crowd with a run-length mask, half of these compressed), Label Studio boxes
and, every fifth, such a polygon.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

A_IMAGE = 10  # labels
CLASSES = [f"class {number}" for number in range(80)]
WIDTH, HEIGHT = 1920, 1080


class Label(NamedTuple):
    """One label in pixels."""

    class_: int
    box: tuple[float, float, float, float]  # x, y, width, height
    ring: list[tuple[float, float]]


def labels_of(images: int) -> Iterator[tuple[str, list[Label]]]:
    """``images`` file names, each with its labels."""
    rng = random.Random(5)
    for number in range(images):
        yield f"{number:012d}.jpg", [_label(rng) for _ in range(A_IMAGE)]


def _label(rng: random.Random) -> Label:
    wide, high = rng.uniform(10, 400), rng.uniform(10, 300)
    x, y = rng.uniform(0, WIDTH - wide), rng.uniform(0, HEIGHT - high)
    box = (round(x, 2), round(y, 2), round(wide, 2), round(high, 2))
    points = rng.randint(16, 24)
    turns = [2 * math.pi * n / points for n in range(points)]
    far = [rng.uniform(0.6, 1.0) for _ in turns]
    ring = [
        (
            round(x + wide / 2 * (1 + r * math.cos(a)), 2),
            round(y + high / 2 * (1 + r * math.sin(a)), 2),
        )
        for a, r in zip(turns, far, strict=True)
    ]
    return Label(rng.randrange(len(CLASSES)), box, ring)


def write_coco(folder: Path, images: int) -> Path:
    """One ``instances.json``."""
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, labels) in enumerate(labels_of(images), 1):
        listed.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        for label in labels:
            annotations.append(_annotation(len(annotations) + 1, number, label))
    top = {
        "info": {"description": "made for a benchmark", "year": 2026},
        "images": listed,
        "annotations": annotations,
        "categories": [{"id": 3 * i + 1, "name": name} for i, name in enumerate(CLASSES)],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(top))
    return path


def _annotation(number: int, image: int, label: Label) -> dict[str, Any]:
    x, y, wide, high = label.box
    crowd = number % 10 == 0
    shape: Any = [[value for point in label.ring for value in point]]
    if crowd:
        runs = [int(x * HEIGHT + y), *[int(high), int(HEIGHT - high)] * 20]
        counts: Any = runs if number % 20 else "`^R<" * 30
        shape = {"counts": counts, "size": [HEIGHT, WIDTH]}
    return {
        "id": number,
        "image_id": image,
        "category_id": 3 * label.class_ + 1,
        "segmentation": shape,
        "area": round(wide * high * 0.6, 3),
        "bbox": list(label.box),
        "iscrowd": int(crowd),
    }


def write_label_studio(folder: Path, images: int) -> Path:
    """One JSON export: one annotation a task, every fifth label a polygon, the others boxes."""
    tasks = []
    for number, (name, labels) in enumerate(labels_of(images), 1):
        results = [_result(number * A_IMAGE + i, label) for i, label in enumerate(labels)]
        annotation = {
            "id": number,
            "completed_by": 1 + number % 5,
            "result": results,
            "was_cancelled": False,
            "ground_truth": False,
            "created_at": "2026-03-01T10:00:00.000000Z",
            "updated_at": "2026-03-01T10:05:00.000000Z",
            "lead_time": 41.5 + number % 7,
            "task": number,
            "project": 1,
            "unique_id": f"6f1d2c9e-0000-4000-8000-{number:012d}",
        }
        tasks.append(
            {
                "id": number,
                "annotations": [annotation],
                "data": {"image": f"/data/upload/1/{number:08x}-{name}"},
                "file_upload": f"{number:08x}-{name}",
                "predictions": [],
                "drafts": [],
                "meta": {},
                "created_at": "2026-02-01T10:00:00.000000Z",
                "inner_id": number,
                "project": 1,
            }
        )
    path = folder / "export.json"
    path.write_text(json.dumps(tasks))
    return path


def _result(number: int, label: Label) -> dict[str, Any]:
    x, y, wide, high = label.box
    shared = {
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "id": f"r{number:09d}",
        "from_name": "label",
        "to_name": "image",
        "origin": "manual",
    }
    if number % 5 == 0:
        points = [[px / WIDTH * 100, py / HEIGHT * 100] for px, py in label.ring]
        value: dict[str, Any] = {
            "points": points,
            "closed": True,
            "polygonlabels": [CLASSES[label.class_]],
        }
        return {**shared, "type": "polygonlabels", "value": value}
    value = {
        "x": x / WIDTH * 100,
        "y": y / HEIGHT * 100,
        "width": wide / WIDTH * 100,
        "height": high / HEIGHT * 100,
        "rotation": 0,
        "rectanglelabels": [CLASSES[label.class_]],
    }
    return {**shared, "type": "rectanglelabels", "value": value}


def write_yolo(folder: Path, images: int) -> Path:
    """``labels/train/*.txt`` and a ``data.yaml``."""
    (folder / "data.yaml").write_text(json.dumps({"names": CLASSES}))
    place = folder / "labels" / "train"
    place.mkdir(parents=True)
    for name, labels in labels_of(images):
        lines = []
        for label in labels:
            x, y, wide, high = label.box
            numbers = ((x + wide / 2) / WIDTH, (y + high / 2) / HEIGHT, wide / WIDTH, high / HEIGHT)
            lines.append(f"{label.class_} " + " ".join(f"{number:.6f}" for number in numbers))
        (place / name).with_suffix(".txt").write_text("\n".join(lines) + "\n")
    return folder


def write_voc(folder: Path, images: int) -> Path:
    """``Annotations/*.xml``."""
    place = folder / "Annotations"
    place.mkdir(parents=True)
    head = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    for name, labels in labels_of(images):
        objects = "".join(_object(label) for label in labels)
        text = f"<annotation><filename>{name}</filename>{head}{objects}</annotation>"
        (place / name).with_suffix(".xml").write_text(text)
    return folder


def _object(label: Label) -> str:
    x, y, wide, high = (int(value) + 1 for value in label.box)
    corners = zip(("xmin", "ymin", "xmax", "ymax"), (x, y, x + wide, y + high), strict=True)
    box = "".join(f"<{name}>{value}</{name}>" for name, value in corners)
    return (
        f"<object><name>{CLASSES[label.class_]}</name><pose>Unspecified</pose>"
        f"<truncated>0</truncated><difficult>0</difficult><bndbox>{box}</bndbox></object>"
    )


WRITE = {
    "coco": write_coco,
    "label_studio": write_label_studio,
    "yolo": write_yolo,
    "voc": write_voc,
}
