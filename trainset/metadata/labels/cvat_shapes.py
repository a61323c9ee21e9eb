"""Geometry of CVAT's shapes, in pixels.

A box or ellipse turns about its centre. Run-length masks are CVAT's own: row by row within the
mask's box, starting with what is not set; they are kept as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from trainset.metadata.labels.rotated import corners, ellipse_hull, hull
from trainset.metadata.records import BadRecord, box, number

_CUBOID = ("xtl1", "xbl1", "xtr1", "xbr1", "xtl2", "xbl2", "xtr2", "xbr2")


@dataclass(frozen=True)
class Shape:
    """``kind``, ``bbox`` and ``geometry`` as in ``record``; ``facts`` go to the attributes."""

    kind: str
    bbox: list[float] | None = None
    geometry: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def shape_of(element: ET.Element) -> Shape:
    """The shape of an element whose tag is in ``SHAPES``. Raises BadRecord."""
    return SHAPES[element.tag](element)


def _box(element: ET.Element) -> Shape:
    x1, y1, x2, y2 = (_number(element, name) for name in ("xtl", "ytl", "xbr", "ybr"))
    bbox = box([x1, y1, x2 - x1, y2 - y1])
    degrees = _turn(element)
    if not degrees:
        return Shape("box", bbox)
    flat = corners(bbox, degrees)
    geometry = {"polygons": [flat], "turned_bbox": bbox, "rotation": degrees}
    return Shape("box", hull(flat), geometry)


def _polygon(element: ET.Element) -> Shape:
    flat = _points(element, least=3)
    return Shape("polygon", hull(flat), {"polygons": [flat]})


def _polyline(element: ET.Element) -> Shape:
    flat = _points(element, least=2)
    return Shape("polyline", hull(flat), {"polyline": flat})


def _keypoints(element: ET.Element) -> Shape:
    flat = _points(element, least=1)
    return Shape("keypoints", hull(flat) if len(flat) > 2 else None, {"keypoints": _seen(flat, 2)})


def _ellipse(element: ET.Element) -> Shape:
    cx, cy, rx, ry = (_number(element, name) for name in ("cx", "cy", "rx", "ry"))
    if rx < 0 or ry < 0:
        raise BadRecord("bad-geometry", f"an ellipse has a negative radius ({rx:g}, {ry:g})")
    degrees = _turn(element)
    geometry = {"ellipse": [cx, cy, rx, ry, degrees]}  # centre, radii, degrees
    return Shape("ellipse", ellipse_hull(cx, cy, rx, ry, degrees), geometry)


def _cuboid(element: ET.Element) -> Shape:
    flat: list[float] = []
    for name in _CUBOID:
        flat += (_number(element, name), _number(element, "y" + name[1:]))
    # Near face, then far: top left, bottom left, top right, bottom right.
    return Shape("cuboid", hull(flat), {"cuboid": flat})


def _mask(element: ET.Element) -> Shape:
    bbox = box([_number(element, name) for name in ("left", "top", "width", "height")])
    try:
        counts = [int(part) for part in element.get("rle", "").split(",")]
    except ValueError:
        raise BadRecord("bad-geometry", "a mask's rle is not a list of counts") from None
    if min(counts) < 0 or sum(counts) != bbox[2] * bbox[3]:
        raise BadRecord(
            "bad-geometry",
            f"a mask's rle counts {sum(counts)} pixels, its box has {bbox[2] * bbox[3]:g}",
        )
    return Shape("mask", bbox, {"cvat_rle": {"counts": counts, "box": bbox}})


def _tag(element: ET.Element) -> Shape:
    return Shape("class")


def _skeleton(element: ET.Element) -> Shape:
    """Named points, as COCO's triples; an outside point is not seen and has no place."""
    triples: list[float] = []
    seen: list[float] = []
    names: list[str] = []
    for point in element:
        if point.tag != "points":
            continue
        names.append(point.get("label", ""))
        flat = _points(point, least=1)
        outside, hidden = point.get("outside") == "1", point.get("occluded") == "1"
        triples += [0, 0, 0] if outside else _seen(flat[:2], 1 if hidden else 2)
        seen += [] if outside else flat[:2]
    if not names:
        raise BadRecord("bad-geometry", "a skeleton has no points")
    bbox = hull(seen) if len(seen) > 2 else None
    return Shape("keypoints", bbox, {"keypoints": triples}, {"keypoint_names": names})


SHAPES: dict[str, Callable[[ET.Element], Shape]] = {
    "box": _box,
    "polygon": _polygon,
    "polyline": _polyline,
    "points": _keypoints,
    "ellipse": _ellipse,
    "cuboid": _cuboid,
    "mask": _mask,
    "tag": _tag,
    "skeleton": _skeleton,
}


def _number(element: ET.Element, name: str) -> float:
    return number(element.get(name), name, fault="bad-geometry")


def _turn(element: ET.Element) -> float:
    return number(element.get("rotation") or 0, "rotation", fault="bad-geometry")


def _seen(flat: list[float], visibility: int) -> list[float]:
    """COCO's triples: x, y, and 2 where it is seen, 1 where it is hidden."""
    triples: list[float] = []
    for x, y in zip(flat[::2], flat[1::2], strict=True):
        triples += [x, y, visibility]
    return triples


def _points(element: ET.Element, *, least: int) -> list[float]:
    """``x1,y1;x2,y2`` as a flat list."""
    flat: list[float] = []
    for pair in filter(None, element.get("points", "").split(";")):
        parts = pair.split(",")
        if len(parts) != 2:
            raise BadRecord("bad-geometry", f"a point is {pair[:60]!r}, not x,y")
        flat += [number(part.strip(), "a point", fault="bad-geometry") for part in parts]
    if len(flat) < 2 * least:
        raise BadRecord(
            "bad-geometry", f"<{element.tag}> has {len(flat) // 2} points, it needs {least}"
        )
    return flat
