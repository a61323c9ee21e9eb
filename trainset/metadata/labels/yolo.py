"""YOLO text: one line a label, one file a medium; boxes, polygons, turned boxes, keypoints.

All numbers are fractions of the image: they stay so until alignment knows its size. A file without
lines says that its medium was looked at and holds nothing.

Source: https://docs.ultralytics.com/datasets/ (detect, segment, obb, pose)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from trainset.metadata.base import Rejected
from trainset.metadata.labels.beside import class_names, medium_of
from trainset.metadata.labels.registry import Beside
from trainset.metadata.records import BadRecord, NameRecords, Record, numbers, record, rejected
from trainset.metadata.tabular import decode

_FAR = 2.0  # values beyond are pixels, not fractions that stick out


@dataclass(frozen=True)
class _Keypoints:
    """``kpt_shape`` of a data.yaml: how many points a label has, and numbers a point."""

    points: int
    numbers: int


def read_yolo(
    data: bytes, *, stream: str, place: str, beside: Beside
) -> Iterator[Record | Rejected]:
    """Records of one YOLO file.

    A line is ``class`` and 4 numbers (a box: centre, size), 8 numbers (a turned box: corners; a
    polygon of four points is written the same), 5 numbers (a box and a score), 6 or more (a
    polygon), or a box and keypoints where ``data.yaml`` has ``kpt_shape``. Without a file of class
    names the class is the number.

    Args:
        data: the whole file.
        stream: name for the rejected.
        place: the file; its name is the medium's.
        beside: ``data.yaml``, ``classes.txt`` and their like, the nearest first.
    Raises:
        InputError: the file of class names cannot be read.
    """
    names = class_names(beside)
    points = _keypoints(tuple(beside))
    medium = medium_of(place)
    file = place.rpartition("/")[2]
    lines = [(i, line.strip()) for i, line in enumerate(decode(data).splitlines(), 1)]
    lines = [(i, line) for i, line in lines if line]
    if not lines:
        yield record(f"{file}#empty", medium, "empty")
        return
    namer = NameRecords()
    for i, line in lines:
        try:
            row = _row(line, medium, names, points)
        except BadRecord as fault:
            yield rejected(stream, f"{file} line {i}", fault, line)
        else:
            named = namer.name(row)
            named["record_id"] = f"{file}#{named['record_id']}"
            yield named


def _row(line: str, medium: str, names: dict[int, str] | None, points: _Keypoints | None) -> Record:
    first, *rest = line.split()
    if not first.isdecimal():
        raise BadRecord("bad-row", f"a YOLO line starts with a class number, not {first[:40]!r}")
    values = numbers(rest, "a YOLO value")
    index = int(first)
    if names is not None and index not in names:
        raise BadRecord("unknown-class", f"class {index} is not among the {len(names)} names")
    class_ = str(index) if names is None else names[index]
    attributes: dict[str, Any] = {"class_id": index}
    kind, geometry, score = _shape(values, points)
    return record(
        None, medium, kind, class_=class_, geometry=geometry, score=score, attributes=attributes
    )


def _shape(
    values: list[float], points: _Keypoints | None
) -> tuple[str, dict[str, Any] | None, float | None]:
    """Kind, geometry in fractions, and score of the numbers of one line."""
    count = len(values)
    if count == 0:
        return "class", None, None
    if points is not None and count == 4 + points.points * points.numbers:
        triples: list[float] = []
        for at in range(4, count, points.numbers):
            x, y = _inside(values[at : at + 2])
            # Without visibility, a point at the corner 0, 0 is one that was not set.
            seen = values[at + 2] if points.numbers == 3 else float(2 if x or y else 0)
            triples += [x, y, seen]
        return "keypoints", {**_box(values[:4]), "keypoints_fraction": triples}, None
    if count in (4, 5):
        return "box", _box(values[:4]), values[4] if count == 5 else None
    if count == 8:
        return "polygon", {"polygons_fraction": [_inside(values)], "obb_or_polygon": True}, None
    score = values[-1] if count % 2 else None
    ring = values[:-1] if count % 2 else values
    if len(ring) < 6:
        raise BadRecord("bad-geometry", f"{count} numbers after the class are no YOLO shape")
    return "polygon", {"polygons_fraction": [_inside(ring)]}, score


def _box(values: list[float]) -> dict[str, Any]:
    x, y, w, h = _inside(values)
    if w < 0 or h < 0:
        raise BadRecord("bad-geometry", f"a box has a negative size ({w:g} x {h:g})")
    return {"bbox_fraction": [x - w / 2, y - h / 2, w, h]}


def _inside(values: list[float]) -> list[float]:
    if max(values) > _FAR or min(values) < -_FAR:
        far = max(values, key=abs)
        raise BadRecord("bad-geometry", f"{far:g} is no fraction of an image; YOLO has fractions")
    return values


@lru_cache(maxsize=8)
def _keypoints(beside: Beside) -> _Keypoints | None:
    for name, data in beside:
        if name.lower().endswith((".yaml", ".yml")):
            top = yaml.safe_load(data)  # ``class_names`` has read it: it is YAML
            shape = top.get("kpt_shape") if isinstance(top, dict) else None
            if isinstance(shape, list) and len(shape) == 2 and shape[1] in (2, 3):
                return _Keypoints(int(shape[0]), int(shape[1]))
    return None
