"""COCO JSON: instances (boxes, polygons, run-length masks, keypoints), captions and panoptic.

``annotations`` point at ``images`` by id, images name their file. Category ids are not dense and
are resolved to names. Faults of one annotation reject that annotation only.

Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.labels.coco_index import Index, hashable, index_of
from trainset.metadata.labels.coco_panoptic import read_segments
from trainset.metadata.labels.json_lists import BrokenJson, open_json
from trainset.metadata.records import (
    BadRecord,
    NameRecords,
    Record,
    box,
    number,
    numbers,
    record,
    rejected,
)

# What has a column of its own or is only a pointer; all else goes to ``attributes``.
_TAKEN = frozenset(
    ("id", "image_id", "category_id", "bbox", "segmentation", "keypoints", "caption", "score")
)


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
        top = open_json(data)
        index, faults = index_of(top, stream=stream, place=place)
        yield from faults
        yield from _read(top.get("annotations") or (), index, stream)
    except BrokenJson as err:
        raise InputError(f"{place}: broken JSON ({err}); write the file again") from err


def _read(annotations: Sequence[Any], index: Index, stream: str) -> Iterator[Record | Rejected]:
    named: set[Any] = set()  # ids of images that some annotation, good or bad, points at
    taken: dict[str, int] = {}  # annotation id -> where it last stood
    names = NameRecords()
    for i, annotation in enumerate(annotations):
        where = f"annotations[{i}]"
        try:
            if not isinstance(annotation, dict):
                raise BadRecord("bad-record", f"is {type(annotation).__name__}, not an object")
            named.add(hashable(annotation.get("image_id")))
            record_id = str(annotation.get("id", f"#{i}"))
            if record_id in taken and _same(annotations[taken[record_id]], annotation):
                raise BadRecord("duplicate-record", f"id {record_id} stands twice, word for word")
            if "segments_info" in annotation:
                for part, found, original in read_segments(annotation, index):
                    if isinstance(found, BadRecord):
                        yield rejected(stream, where + part, found, original)
                    else:
                        yield names.name(found)
            else:
                yield names.name(_row(annotation, record_id, index))
            taken[record_id] = i
        except BadRecord as fault:
            yield rejected(stream, where, fault, annotation)
    for image_id, image in index.images.items():
        if image_id not in named and image is not None:
            yield names.name(
                record(f"image-{image_id}", image.reference, "empty", attributes=image.facts)
            )


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _row(annotation: dict[str, Any], record_id: str, index: Index) -> Record:
    image = index.image(annotation.get("image_id"))
    text = annotation.get("caption")
    class_ = index.categories.get(hashable(annotation.get("category_id")))
    if class_ is None and text is None:  # captions carry a category_id 0 that names nothing
        class_ = index.category(annotation.get("category_id"))
    geometry, kind = _geometry(annotation)
    bbox = box(annotation["bbox"]) if annotation.get("bbox") else None
    score = annotation.get("score")
    return record(
        record_id,
        image.reference,
        kind or ("box" if bbox else "caption" if text is not None else "class"),
        class_=class_,
        bbox=bbox,
        geometry=geometry or None,
        text=None if text is None else str(text),
        score=None if score is None else number(score, "score"),
        attributes={k: v for k, v in annotation.items() if k not in _TAKEN} | image.facts,
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
