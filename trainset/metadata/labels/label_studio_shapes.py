"""Geometry of Label Studio regions: per cent of the original image to pixels, and times.

Source: https://labelstud.io/guide/export (raw JSON); a rectangle turns about its top left corner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trainset.metadata.labels.rotated import corners, ellipse_hull, hull
from trainset.metadata.records import BadRecord, box, number, numbers

Value = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """Where a region is: ``bbox`` and ``geometry`` as in ``record``; ``taken``: fields used."""

    kind: str
    taken: tuple[str, ...]
    bbox: list[float] | None = None
    geometry: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict)  # go to the attributes


@dataclass(frozen=True)
class Scale:
    """Makes per cents pixels; fractions where the image's size is not said."""

    size: tuple[float, float] | None

    def point(self, x: Any, y: Any) -> tuple[float, float]:
        found = numbers([x, y], "a point")
        width, height = self.size or (1.0, 1.0)
        return found[0] * width / 100, found[1] * height / 100

    def named(self, name: str, value: Any) -> dict[str, Any]:
        """``{name: value}`` in pixels, ``{name_fraction: value}`` else."""
        return {name if self.size else f"{name}_fraction": value}


def scale_of(item: dict[str, Any]) -> Scale:
    """The scale of a result item, from ``original_width`` and ``original_height``."""
    sides = item.get("original_width"), item.get("original_height")
    if sides[0] is None or sides[1] is None:
        return Scale(None)
    width, height = (number(side, "the original size", fault="bad-geometry") for side in sides)
    if width <= 0 or height <= 0:
        raise BadRecord("bad-geometry", f"the original size is {width:g} x {height:g}")
    return Scale((width, height))


def shapes_of(item: dict[str, Any]) -> list[Shape]:
    """The shapes of one result item: none when it only answers a question, many for a video.

    Raises:
        BadRecord: the region cannot be drawn.
    """
    value = item.get("value")
    if not isinstance(value, dict):
        raise BadRecord("bad-record", "a result has no 'value'")
    kind = str(item.get("type", ""))
    if "sequence" in value:
        return _video(value, scale_of(item))
    if kind.startswith(("timeseries", "timeline")):
        return [_raw_span(value)]
    for fields, make in _MAKERS:
        if fields <= value.keys():
            return [make(value, scale_of(item))]
    if {"start", "end"} <= value.keys():
        return [_span(kind, value)]
    return []


def _rectangle(value: Value, scale: Scale) -> Shape:
    taken = ("x", "y", "width", "height", "rotation")
    x, y = scale.point(value["x"], value["y"])
    width, height = scale.point(value["width"], value["height"])
    bbox = box([x, y, width, height])
    degrees = number(value.get("rotation") or 0, "rotation", fault="bad-geometry")
    if scale.size is None:
        # Turned in pixels it would not be the same shape as in fractions.
        geometry: dict[str, Any] = {"bbox_fraction": bbox}
        if degrees:
            geometry = {"turned_bbox_fraction": bbox, "rotation": degrees}
        return Shape("box", taken, geometry=geometry)
    if not degrees:
        return Shape("box", taken, bbox)
    flat = corners(bbox, degrees, about=(x, y))
    geometry = {"polygons": [flat], "turned_bbox": bbox, "rotation": degrees}
    return Shape("box", taken, hull(flat), geometry)


def _polygon(value: Value, scale: Scale) -> Shape:
    flat = _points(value["points"], scale)
    if len(flat) < 6:
        raise BadRecord("bad-geometry", "a polygon needs three or more points")
    bbox = hull(flat) if scale.size else None
    return Shape("polygon", ("points",), bbox, scale.named("polygons", [flat]))


def _vector(value: Value, scale: Scale) -> Shape:
    vertices = value["vertices"]
    if not isinstance(vertices, list) or not all(isinstance(v, dict) for v in vertices):
        raise BadRecord("bad-geometry", "'vertices' is not a list of points")
    flat: list[float] = []
    for vertex in vertices:
        flat += scale.point(vertex.get("x"), vertex.get("y"))
    if len(flat) < 4:
        raise BadRecord("bad-geometry", "a line needs two or more points")
    geometry = scale.named("polyline", flat)
    if any(vertex.get("isBezier") for vertex in vertices):
        geometry["vertices"] = vertices  # per cent, with their handles
    return Shape("polyline", ("vertices",), hull(flat) if scale.size else None, geometry)


def _ellipse(value: Value, scale: Scale) -> Shape:
    taken = ("x", "y", "radiusX", "radiusY", "rotation")
    x, y = scale.point(value["x"], value["y"])
    rx, ry = scale.point(value["radiusX"], value["radiusY"])
    degrees = number(value.get("rotation") or 0, "rotation", fault="bad-geometry")
    geometry = scale.named("ellipse", [x, y, rx, ry, degrees])  # centre, radii, degrees
    bbox = ellipse_hull(x, y, rx, ry, degrees) if scale.size else None
    return Shape("ellipse", taken, bbox, geometry)


def _brush(value: Value, scale: Scale) -> Shape:
    """A brush's run-length code, kept as it is: Label Studio's own, of RGBA pixels."""
    code = value["rle"]
    if not isinstance(code, list) or not all(
        isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= 255 for v in code
    ):
        raise BadRecord("bad-geometry", "a brush's 'rle' is a list of bytes; this is not")
    geometry: dict[str, Any] = {"label_studio_rle": code}
    if scale.size:
        geometry["size"] = [int(scale.size[1]), int(scale.size[0])]  # height, width, as COCO's
    return Shape("mask", ("rle", "format"), None, geometry)


def _bitmask(value: Value, scale: Scale) -> Shape:
    if not isinstance(value["imageDataURL"], str):
        raise BadRecord("bad-geometry", "'imageDataURL' is not a text")
    return Shape("mask", ("imageDataURL",), None, {"mask_url": value["imageDataURL"]})


def _keypoint(value: Value, scale: Scale) -> Shape:
    x, y = scale.point(value["x"], value["y"])
    return Shape("keypoints", ("x", "y"), None, scale.named("keypoints", [x, y, 2]))


_MAKERS: tuple[tuple[frozenset[str], Callable[[Value, Scale], Shape]], ...] = (
    (frozenset(("rle",)), _brush),
    (frozenset(("imageDataURL",)), _bitmask),
    (frozenset(("points",)), _polygon),
    (frozenset(("vertices",)), _vector),
    (frozenset(("radiusX", "radiusY")), _ellipse),
    (frozenset(("x", "y", "height")), _rectangle),
    (frozenset(("x", "y")), _keypoint),  # its width is the size of the dot
)


def _video(value: Value, scale: Scale) -> list[Shape]:
    """One shape a key frame; between two of them the box moves evenly while it is enabled."""
    if not isinstance(value["sequence"], list) or not value["sequence"]:
        raise BadRecord("bad-geometry", "'sequence' is not a list of key frames")
    shapes = []
    for key in value["sequence"]:
        if not isinstance(key, dict) or not {"x", "y", "width", "height"} <= key.keys():
            raise BadRecord("bad-geometry", "a key frame needs x, y, width and height")
        shape = _rectangle(key, scale)
        facts = {k: v for k, v in key.items() if k not in shape.taken}
        geometry = dict(shape.geometry or {})
        if "time" in facts:
            geometry["time_s"] = number(facts.pop("time"), "time", fault="bad-geometry")
        if "frame" in facts:
            frame_number = number(facts.pop("frame"), "frame", fault="bad-geometry")
            geometry["frame"] = int(frame_number) - 1  # from 0, as in all our geometry
        shapes.append(Shape("box", ("sequence",), shape.bbox, geometry, facts))
    return shapes


def _span(kind: str, value: Value) -> Shape:
    """A stretch of sound in seconds, or of text in characters."""
    taken = ("start", "end")
    if kind.startswith(("hypertext", "paragraph")) or isinstance(value.get("start"), str):
        return _raw_span(value)
    start, end = numbers([value["start"], value["end"]], "start and end")
    if end < start:
        raise BadRecord("bad-geometry", f"it ends at {end:g}, before its start at {start:g}")
    if isinstance(value.get("text"), str):  # the words themselves: a span of a text
        return Shape("class", taken, None, {"start_char": start, "end_char": end})
    return Shape("class", taken, None, {"start_s": start, "end_s": end})


def _raw_span(value: Value) -> Shape:
    """A stretch in units that only the labelling project knows; kept as it is."""
    names = ("start", "end", "startOffset", "endOffset", "globalOffsets", "ranges", "instant")
    taken = tuple(name for name in names if name in value)
    return Shape("class", taken, None, {"span": {name: value[name] for name in taken}})


def _points(values: Any, scale: Scale) -> list[float]:
    # Two checks of all at once: a polygon has many points.
    if (
        not isinstance(values, list)
        or not {list, tuple}.issuperset(map(type, values))
        or not {2}.issuperset(map(len, values))
    ):
        raise BadRecord("bad-geometry", "'points' is not a list of x, y pairs")
    found = numbers([side for pair in values for side in pair], "a point")
    width, height = scale.size or (1.0, 1.0)
    found[::2] = [x * width / 100 for x in found[::2]]
    found[1::2] = [y * height / 100 for y in found[1::2]]
    return found
