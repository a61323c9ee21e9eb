"""COCO panoptic: one annotation an image, whose segments are the colours of a PNG file.

A pixel's segment is ``R + 256 G + 256² B``. The PNG is named, not opened: it lies where the user
keeps it, in a folder that the file does not say.

Source: https://cocodataset.org/#format-data (panoptic segmentation)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trainset.metadata.labels.coco_index import Index
from trainset.metadata.records import BadRecord, Record, box, record

_TAKEN = ("id", "category_id", "bbox")  # of a segment


def read_segments(
    annotation: dict[str, Any], index: Index
) -> Iterator[tuple[str, Record | BadRecord, Any]]:
    """A record of kind ``mask`` for each segment, with its place in the annotation and original.

    Without segments the image is ``empty``.

    Raises:
        BadRecord: the annotation as a whole cannot be used.
    """
    image = index.image(annotation.get("image_id"))
    segments, png = annotation["segments_info"], annotation.get("file_name")
    if not isinstance(segments, list):
        raise BadRecord("bad-record", "'segments_info' is not a list of segments")
    if not isinstance(png, str) or not png.strip():
        raise BadRecord("bad-geometry", "panoptic segments need 'file_name', the PNG they are in")
    own = annotation.get("image_id")
    if not segments:
        facts = {"mask_png": png, **image.facts}
        yield "", record(f"image-{own}", image.reference, "empty", attributes=facts), annotation
    for i, segment in enumerate(segments):
        where = f".segments_info[{i}]"
        try:
            if not isinstance(segment, dict) or not isinstance(segment.get("id"), int):
                raise BadRecord("bad-record", "a segment is an object with an id; this is not")
            found = record(
                f"{own}.{segment['id']}",
                image.reference,
                "mask",
                class_=index.category(segment.get("category_id")),
                bbox=box(segment["bbox"]) if segment.get("bbox") else None,
                geometry={"mask_png": png, "segment_id": segment["id"]},
                attributes={k: v for k, v in segment.items() if k not in _TAKEN} | image.facts,
            )
        except BadRecord as fault:
            yield where, fault, segment
        else:
            yield where, found, segment
