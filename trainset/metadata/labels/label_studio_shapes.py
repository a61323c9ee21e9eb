"""Geometry of Label Studio regions: per cent of the original image to pixels, and times.

Source: https://labelstud.io/guide/export (raw JSON); a rectangle turns about its top left corner.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from trainset.metadata.labels.rotated import corners, ellipse_hull, hull
from trainset.metadata.records import BadRecord, number, numbers, sized

Value = dict[str, Any]


class Shape(NamedTuple):
    """Where a region is: ``bbox`` and ``geometry`` as in ``record``; ``taken``: fields used."""

    kind: str
    taken: tuple[str, ...]
    bbox: list[float] | None = None
    geometry: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None  # go to the attributes


class Scale(NamedTuple):
    """Makes per cents pixels; fractions where the image's size is not said."""

    size: tuple[float, float] | None

    def points(self, sides: list[Any]) -> list[float]:
        """``x, y, x, y …`` scaled; a width and height are scaled like a point. Raises BadRecord."""
        found = numbers(sides, "a point")
        width, height = self.size or (1.0, 1.0)
        if len(found) == 4:
            x, y, right, down = found
            return [x * width / 100, y * height / 100, right * width / 100, down * height / 100]
        found[::2] = [x * width / 100 for x in found[::2]]
        found[1::2] = [y * height / 100 for y in found[1::2]]
        return found

    def named(self, name: str, value: Any) -> dict[str, Any]:
        """``{name: value}`` in pixels, ``{name_fraction: value}`` else."""
        return {name if self.size else f"{name}_fraction": value}


def scale_of(item: dict[str, Any]) -> Scale:
    """The scale of a result item, from ``original_width`` and ``original_height``."""
    width, height = item.get("original_width"), item.get("original_height")
    if width is None or height is None:
        return Scale(None)
    if isinstance(width, (list, dict)) or isinstance(height, (list, dict)):
        numbers([width, height], "the original size")  # says which
    return _scale(width, height)


@lru_cache(maxsize=64, typed=True)  # most results of a task are about one image
def _scale(width: Any, height: Any) -> Scale:
    width, height = numbers([width, height], "the original size")
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
    if "sequence" in value:
        return _video(value, scale_of(item))
    kind = str(item.get("type", ""))
    if kind.startswith("time") and kind.startswith(("timeseries", "timeline")):
        return [_raw_span(value)]
    if (make := _maker(value)) is not None:
        return [make(value, scale_of(item))]
    if {"start", "end"} <= value.keys():
        return [_span(kind, value)]
    return []


_BOX = ("x", "y", "width", "height", "rotation")


def _rectangle(value: Value, scale: Scale) -> Shape:
    get = value.get
    bbox = sized(scale.points([get("x"), get("y"), get("width"), get("height")]))
    turned = get("rotation")
    degrees = number(turned, "rotation", fault="bad-geometry") if turned else 0.0
    if scale.size is None:
        # Turned in pixels it would not be the same shape as in fractions.
        geometry: dict[str, Any] = {"bbox_fraction": bbox}
        if degrees:
            geometry = {"turned_bbox_fraction": bbox, "rotation": degrees}
        return Shape("box", _BOX, geometry=geometry)
    if not degrees:
        return Shape("box", _BOX, bbox)
    flat = corners(bbox, degrees, about=(bbox[0], bbox[1]))
    geometry = {"polygons": [flat], "turned_bbox": bbox, "rotation": degrees}
    return Shape("box", _BOX, hull(flat), geometry)


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
        flat += scale.points([vertex.get("x"), vertex.get("y")])
    if len(flat) < 4:
        raise BadRecord("bad-geometry", "a line needs two or more points")
    geometry = scale.named("polyline", flat)
    if any(vertex.get("isBezier") for vertex in vertices):
        geometry["vertices"] = vertices  # per cent, with their handles
    return Shape("polyline", ("vertices",), hull(flat) if scale.size else None, geometry)


def _ellipse(value: Value, scale: Scale) -> Shape:
    taken = ("x", "y", "radiusX", "radiusY", "rotation")
    x, y, rx, ry = scale.points([value.get(name) for name in taken[:4]])
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
    x, y = scale.points([value["x"], value["y"]])
    return Shape("keypoints", ("x", "y"), None, scale.named("keypoints", [x, y, 2]))


_MAKERS: dict[str, Callable[[Value, Scale], Shape]] = {
    "rle": _brush,
    "imageDataURL": _bitmask,
    "points": _polygon,
    "vertices": _vector,
}
_SIGNS = frozenset(_MAKERS)


def _maker(value: Value) -> Callable[[Value, Scale], Shape] | None:
    if not _SIGNS.isdisjoint(value):
        return next(make for sign, make in _MAKERS.items() if sign in value)
    if "radiusX" in value and "radiusY" in value:
        return _ellipse
    if "x" in value and "y" in value:
        return _rectangle if "height" in value else _keypoint  # its width is the size of the dot
    return None


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
    return scale.points([*chain.from_iterable(values)])
