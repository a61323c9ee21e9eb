"""COCO JSON: instances (boxes, polygons, run-length masks, keypoints) and captions.

``annotations`` point at ``images`` by id, images name their file. Category ids are not dense and
are resolved to names. Faults of one annotation reject that annotation only.

Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from trainset.errors import InputError
from trainset.identity import hash64
from trainset.metadata.base import Rejected
from trainset.metadata.records import (
    BadRecord,
    NameRecords,
    Record,
    box,
    load_json,
    number,
    numbers,
    record,
    rejected,
)

# What has a column of its own or is only a pointer; all else goes to ``attributes``.
_TAKEN = ("id", "image_id", "category_id", "bbox", "segmentation", "keypoints", "caption", "score")


def read_coco(data: bytes, *, stream: str, place: str) -> Iterator[Record | Rejected]:
    """Records of one COCO file.

    An image without annotations gives a record of kind ``empty``: looked at and found to hold
    nothing, which is not the same as never labelled. An image whose annotations were all rejected
    gives none, for nobody said that it is empty.

    Args:
        data: the whole file.
        stream: name for the rejected.
        place: the file, for messages.
    Raises:
        InputError: the file is not COCO at all.
    """
    try:
        top = load_json(data)
    except ValueError as err:
        raise InputError(f"{place}: broken JSON ({err}); write the file again") from err
    images, categories, faults = _index(top, stream=stream, place=place)
    yield from faults

    named: set[Any] = set()  # ids of images that some annotation, good or bad, points at
    contents: dict[str, int] = {}  # annotation id -> hash of its content
    names = NameRecords()
    for i, annotation in enumerate(top.get("annotations") or ()):
        where = f"annotations[{i}]"
        try:
            if not isinstance(annotation, dict):
                raise BadRecord("bad-record", f"is {type(annotation).__name__}, not an object")
            named.add(_hashable(annotation.get("image_id")))
            record_id = str(annotation.get("id", f"#{i}"))
            content = hash64(json.dumps(annotation, sort_keys=True))
            if contents.get(record_id) == content:
                raise BadRecord("duplicate-record", f"id {record_id} stands twice, word for word")
            row = _row(annotation, record_id, images, categories)
            contents[record_id] = content
        except BadRecord as fault:
            yield rejected(stream, where, fault, annotation)
        else:
            yield names.name(row)
    for image_id, image in images.items():
        if image_id not in named and isinstance(image, dict):
            yield names.name(_empty(image_id, image))


def _index(
    top: Any, *, stream: str, place: str
) -> tuple[dict[Any, dict[str, Any] | None], dict[Any, str], list[Rejected]]:
    """Images by id (None where one id names two files), category names by id, and the bad ones."""
    if not isinstance(top, dict) or not isinstance(top.get("images"), list):
        raise InputError(f"{place}: not COCO, for it has no list 'images'; say its format")
    if not isinstance(top.get("annotations") or [], list):
        raise InputError(f"{place}: 'annotations' is not a list; write the file again")
    faults: list[Rejected] = []
    images: dict[Any, dict[str, Any] | None] = {}
    for i, image in enumerate(top["images"]):
        where = f"images[{i}]"
        try:
            if not isinstance(image, dict) or "id" not in image:
                raise BadRecord("bad-record", "an image needs an id and a file_name")
            if _reference(image) is None:
                raise BadRecord("no-media-ref", "the image has neither file_name nor a url")
            image_id = _hashable(image["id"])
            known = images.setdefault(image_id, image)
            if known is None or _reference(known) != _reference(image):
                # Merged exports count from 1 each: whose annotations these are is not to be known.
                images[image_id] = None
                raise BadRecord(
                    "duplicate-id",
                    f"image id {image_id} names more than one file; give images ids of their own",
                )
        except BadRecord as fault:
            faults.append(rejected(stream, where, fault, image))
    categories: dict[Any, str] = {}
    for i, category in enumerate(top.get("categories") or ()):
        try:
            if not isinstance(category, dict) or not {"id", "name"} <= category.keys():
                raise BadRecord("bad-record", "a category needs an id and a name")
            category_id, name = _hashable(category["id"]), str(category["name"])
            if categories.setdefault(category_id, name) != name:
                raise BadRecord(
                    "duplicate-id",
                    f"category id {category_id} is {categories[category_id]!r} and {name!r}; "
                    "the first is used",
                )
        except BadRecord as fault:
            faults.append(rejected(stream, f"categories[{i}]", fault, category))
    return images, categories, faults


def _row(
    annotation: dict[str, Any],
    record_id: str,
    images: dict[Any, dict[str, Any] | None],
    categories: dict[Any, str],
) -> Record:
    image_id = _hashable(annotation.get("image_id"))
    if image_id not in images:
        raise BadRecord("unknown-image", f"image_id {image_id!r} is not in 'images'")
    image = images[image_id]
    if image is None:
        raise BadRecord("duplicate-id", f"image_id {image_id!r} names more than one file")
    if "segments_info" in annotation:
        raise BadRecord("panoptic", "panoptic segments are not read by this version")

    text = annotation.get("caption")
    class_ = categories.get(_hashable(annotation.get("category_id")))
    if class_ is None and text is None:  # captions carry a category_id 0 that names nothing
        raise BadRecord(
            "unknown-category",
            f"category_id {annotation.get('category_id')!r} is not in 'categories'",
        )
    geometry, kind = _geometry(annotation)
    bbox = box(annotation["bbox"]) if annotation.get("bbox") else None
    score = annotation.get("score")
    attributes = {k: v for k, v in annotation.items() if k not in _TAKEN} | _image_facts(image)
    return record(
        record_id,
        str(_reference(image)),
        kind or ("box" if bbox else "caption" if text is not None else "class"),
        class_=class_,
        bbox=bbox,
        geometry=geometry or None,
        text=None if text is None else str(text),
        score=None if score is None else number(score, "score"),
        attributes=attributes,
    )


def _geometry(annotation: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Geometry in pixels and the kind that it makes, None when there is only a box or nothing."""
    geometry: dict[str, Any] = {}
    kind = None
    shape = annotation.get("segmentation")
    if isinstance(shape, dict):
        size = shape.get("size")
        if (
            not isinstance(shape.get("counts"), (list, str))
            or not isinstance(size, list)
            or len(size) != 2
        ):
            raise BadRecord("bad-geometry", "a run-length mask needs 'counts' and 'size'")
        geometry["rle"], kind = shape, "mask"  # size is [height, width], counts run by column
    elif shape:
        # Some tools write one polygon flat instead of a list of polygons.
        parts = shape if isinstance(shape, list) and isinstance(shape[0], list) else [shape]
        polygons = [numbers(part, "segmentation") for part in parts]
        if any(len(p) < 6 or len(p) % 2 for p in polygons):
            raise BadRecord("bad-geometry", "a polygon needs three or more x, y pairs")
        geometry["polygons"], kind = polygons, "polygon"
    if annotation.get("keypoints"):
        points = numbers(annotation["keypoints"], "keypoints")
        if len(points) % 3:
            raise BadRecord("bad-geometry", "keypoints come as x, y, visibility")
        geometry["keypoints"], kind = points, "keypoints"
    return geometry, kind


def _empty(image_id: Any, image: dict[str, Any]) -> Record:
    return record(
        f"image-{image_id}", str(_reference(image)), "empty", attributes=_image_facts(image)
    )


def _reference(image: dict[str, Any]) -> str | None:
    for name in ("file_name", "coco_url", "flickr_url"):
        if isinstance(image.get(name), str) and image[name].strip():
            return str(image[name])
    return None


def _image_facts(image: dict[str, Any]) -> dict[str, Any]:
    facts = {f"image_{name}": image.get(name) for name in ("id", "width", "height")}
    facts |= {name: image.get(name) for name in ("coco_url", "flickr_url", "sha256")}
    return {name: value for name, value in facts.items() if value not in (None, "")}


def _hashable(value: Any) -> Any:
    """COCO ids are numbers or strings; anything else is compared by its text."""
    return value if isinstance(value, (int, float, str, type(None))) else json.dumps(value)
