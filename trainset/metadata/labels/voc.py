"""Pascal VOC XML: one file a medium, boxes in pixels that count from 1.

``xmin`` and ``xmax`` are the first and the last pixel, so the box 1, 2, 3, 4 begins at 0, 1 and is
3 pixels wide and high. Tools that write corners from 0 are told by a corner below 1.

Source: Everingham et al., The PASCAL VOC Development Kit, annotation format
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.labels.beside import medium_of
from trainset.metadata.records import BadRecord, NameRecords, Record, numbers, record, rejected

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_TAKEN = frozenset(("name", "bndbox", "part", "polygon"))


def read_voc(data: bytes, *, stream: str, place: str) -> Iterator[Record | Rejected]:
    """Records of one VOC file: its objects and their parts; ``empty`` when it has none.

    Args:
        data: the whole file.
        stream: name for the rejected.
        place: the file; names the medium when ``filename`` is missing.
    Raises:
        InputError: the file is not such XML.
    """
    file = place.rpartition("/")[2]
    if b"<!ENTITY" in data:
        raise InputError(f"{place}: defines XML entities, which no label file needs; remove them")
    try:
        top = ET.fromstring(data)
    except ET.ParseError as err:
        raise InputError(f"{place}: broken XML ({err}); write the file again") from err
    if top.tag != "annotation":
        raise InputError(f"{place}: not Pascal VOC, for its root is <{top.tag}>; say its format")
    medium = (top.findtext("filename") or "").strip() or medium_of(place)
    facts = _image_facts(top)
    objects = top.findall("object")
    if not objects:
        yield record(f"{file}#empty", medium, "empty", attributes=facts)
        return
    first = 0.0 if _counts_from_zero(objects) else 1.0
    names = NameRecords()
    for i, item in enumerate(objects):
        for where, element, whole in _with_parts(item, f"object[{i}]"):
            try:
                row = _row(element, medium, first, facts, whole)
            except BadRecord as fault:
                original = ET.tostring(element, encoding="unicode")
                yield rejected(stream, f"{file} {where}", fault, original)
            else:
                named = names.name(row)
                named["record_id"] = f"{file}#{named['record_id']}"
                yield named


def _with_parts(item: ET.Element, where: str) -> Iterator[tuple[str, ET.Element, str | None]]:
    """The object and its parts (a person's head): each a label; parts say whose they are."""
    yield where, item, None
    for i, part in enumerate(item.findall("part")):
        yield f"{where} part[{i}]", part, (item.findtext("name") or "").strip()


def _row(
    item: ET.Element, medium: str, first: float, facts: dict[str, Any], whole: str | None
) -> Record:
    class_ = (item.findtext("name") or "").strip()
    if not class_:
        raise BadRecord("unknown-category", "an object has no name")
    bbox = _box(item, first)
    geometry = None
    if (polygon := item.find("polygon")) is not None:
        geometry = {"polygons": [_polygon(polygon)]}
    attributes = {child.tag: _value(child) for child in item if child.tag not in _TAKEN}
    if whole is not None:
        attributes["part_of"] = whole
    return record(
        None,
        medium,
        "polygon" if geometry else "box" if bbox else "class",
        class_=class_,
        bbox=bbox,
        geometry=geometry,
        attributes=attributes | facts,
    )


def _box(item: ET.Element, first: float) -> list[float] | None:
    corners = item.find("bndbox")
    if corners is None:
        return None
    x1, y1, x2, y2 = numbers([corners.findtext(name) for name in _CORNERS], _CORNERS)
    if x2 < x1 or y2 < y1:
        raise BadRecord("bad-geometry", f"corners {x1:g}, {y1:g} and {x2:g}, {y2:g} are swapped")
    return [x1 - first, y1 - first, x2 - x1 + first, y2 - y1 + first]


def _polygon(item: ET.Element) -> list[float]:
    """``x1, y1, x2, y2 …`` (Roboflow) or ``pt`` elements (LabelMe)."""
    if points := item.findall("pt"):
        texts = [point.findtext(axis) for point in points for axis in ("x", "y")]
    else:
        n = len(item.findall("*")) // 2
        texts = [item.findtext(f"{axis}{i}") for i in range(1, n + 1) for axis in ("x", "y")]
    found = numbers(texts, "polygon")
    if len(found) < 6:
        raise BadRecord("bad-geometry", "a polygon needs three or more points")
    return found


def _counts_from_zero(objects: list[ET.Element]) -> bool:
    """Whether a corner of the file lies below 1."""
    for item in objects:
        for corners in item.iter("bndbox"):
            for name in ("xmin", "ymin"):
                try:
                    if float(corners.findtext(name) or 1) < 1:
                        return True
                except ValueError:
                    continue  # rejected where its object is read
    return False


def _image_facts(top: ET.Element) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name in ("width", "height"):
        text = (top.findtext(f"size/{name}") or "").strip()
        if text.isdecimal() and int(text) > 0:
            facts[f"image_{name}"] = int(text)
    return facts


def _value(element: ET.Element) -> Any:
    if len(element):
        return {child.tag: _value(child) for child in element}
    text = (element.text or "").strip()
    return int(text) if text.isdecimal() and len(text) < 10 else text
