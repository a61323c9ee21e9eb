"""CVAT XML 1.1: images with shapes and tags, and tracks of a video.

A shape of a track gives one record a frame, under ``<track>@<frame>``; one that is ``outside`` (the
object is not seen there) is a plain ``record`` without a class. An image without shapes is
``empty``.

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.labels.cvat_meta import Videos
from trainset.metadata.labels.cvat_shapes import SHAPES, shape_of
from trainset.metadata.records import (
    BadRecord,
    NameRecords,
    Record,
    number,
    record,
    rejected,
)

_OF_IMAGE = ("width", "height")
_OF_SHAPE = ("source", "occluded", "z_order", "group_id", "keyframe", "frame", "outside")
_FLAGS = ("occluded", "keyframe", "outside")


@dataclass(frozen=True)
class Owner:
    """The image or track that shapes belong to: its medium, and attributes of all its records."""

    ref: str
    name: str
    facts: dict[str, Any]


def read_cvat(data: bytes, *, stream: str, place: str) -> Iterator[Record | Rejected]:
    """Records of one file, parsed as a stream: its tree is never in memory as a whole.

    Args:
        data: the whole file.
        stream: name for the rejected.
        place: the file, for messages.
    Raises:
        InputError: the file is no XML, or not CVAT's.
    """
    names = NameRecords()
    videos = Videos()
    depth = images = tracks = 0
    root: ET.Element | None = None
    try:
        for event, element in ET.iterparse(io.BytesIO(data), events=("start", "end")):
            depth += 1 if event == "start" else -1
            if root is None:
                root = element
                if root.tag != "annotations":
                    raise InputError(
                        f"{place}: not CVAT XML, for its root is <{root.tag}> and not "
                        "<annotations>; export as 'CVAT for images 1.1' or 'CVAT for video 1.1'"
                    )
            if event == "start" or depth != 1:
                continue
            if element.tag == "meta":
                videos = Videos.of(element)
            elif element.tag in ("image", "track"):
                if element.tag == "image":
                    items = _image(element, images, stream)
                    images += 1
                else:
                    items = _track(element, tracks, videos, stream)
                    tracks += 1
                for item in items:
                    yield item if isinstance(item, Rejected) else names.name(item)
            elif element.tag != "version":
                fault = BadRecord("bad-record", f"<{element.tag}> is neither image nor track")
                yield rejected(stream, f"<{element.tag}>", fault, _text(element))
            root.clear()
    except ET.ParseError as err:
        raise InputError(f"{place}: broken XML ({err}); export it again") from err
    if not images and not tracks:
        for ref in videos.all:
            yield names.name(record(f"video-{ref}", ref, "empty"))


def _image(image: ET.Element, nth: int, stream: str) -> Iterator[Record | Rejected]:
    ref = image.get("name", "").strip()
    where = f"image {image.get('id', nth)}"
    try:
        if not ref:
            raise BadRecord("no-media-ref", "an image needs a name")
        facts: dict[str, Any] = {
            f"image_{side}": int(number(image.get(side), side))
            for side in _OF_IMAGE
            if image.get(side) is not None
        }
    except BadRecord as fault:
        yield rejected(stream, where, fault, _text(image))
        return
    facts |= {k: v for k, v in image.attrib.items() if k not in ("name", *_OF_IMAGE) and v}
    facts |= _answers(image)
    owner = Owner(ref, _named("image", image, nth), facts)
    shapes = [child for child in image if child.tag != "attribute"]
    if not shapes:
        yield record(owner.name, ref, "empty", attributes=facts)
    for i, shape in enumerate(shapes):
        try:
            yield _record(shape, f"{owner.name}.{i}", owner, shape.get("label"))
        except BadRecord as fault:
            yield rejected(stream, f"{where} ({ref}), shape {i}", fault, _text(shape))


def _track(track: ET.Element, nth: int, videos: Videos, stream: str) -> Iterator[Record | Rejected]:
    where = f"track {track.get('id', nth)}"
    try:
        ref = videos.of_task(track.get("task_id"))
    except BadRecord as fault:
        yield rejected(stream, where, fault, _text(track))
        return
    facts: dict[str, Any] = {"track": track.get("id", str(nth))}
    facts |= {k: v for k, v in track.attrib.items() if k not in ("id", "label") and v}
    owner = Owner(ref, _named("track", track, nth), facts)
    for i, shape in enumerate(track):
        try:
            frame = int(number(shape.get("frame"), "frame"))
            yield _record(shape, f"{owner.name}@{frame}", owner, track.get("label"))
        except BadRecord as fault:
            yield rejected(stream, f"{where} ({ref}), shape {i}", fault, _text(shape))


def _record(shape: ET.Element, record_id: str, owner: Owner, label: str | None) -> Record:
    if shape.tag not in SHAPES:
        raise BadRecord("unknown-shape", f"<{shape.tag}> is no shape that this version reads")
    if not label:
        raise BadRecord("no-class", f"<{shape.tag}> has no label")
    found = shape_of(shape)
    facts = {**owner.facts, **found.facts, **_answers(shape)}
    for name in _OF_SHAPE:
        if (value := shape.get(name)) is None:
            continue
        if name in _FLAGS:
            facts |= {name: True} if value == "1" else {}
        elif name in ("frame", "z_order"):
            facts[name] = int(number(value, name))
        else:
            facts[name] = value
    geometry = found.geometry
    if "frame" in facts:  # where in the video; one box in two frames is two labels
        geometry = {**(geometry or {}), "frame": facts.pop("frame")}  # counted from 0
    if facts.get("outside"):
        facts["label"] = label
        return record(record_id, owner.ref, "record", geometry=geometry, attributes=facts)
    return record(
        record_id,
        owner.ref,
        found.kind,
        class_=label,
        bbox=found.bbox,
        geometry=geometry,
        attributes=facts,
    )


def _named(what: str, element: ET.Element, nth: int) -> str:
    """A record id: ids count anew in each task of a project."""
    parts = (what, element.get("task_id"), element.get("id", f"#{nth}"))
    return "-".join(part for part in parts if part)


def _answers(element: ET.Element) -> dict[str, Any]:
    """``<attribute>`` children by name."""
    found = {a.get("name", "?"): (a.text or "").strip() for a in element if a.tag == "attribute"}
    return {"answers": found} if found else {}


def _text(element: ET.Element) -> str:
    return ET.tostring(element, encoding="unicode").strip()
