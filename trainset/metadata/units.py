"""Whether the boxes of a file are pixels or fractions of the image: judged over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trainset.metadata.layout import Box, Fields, Layout, box_values, find_box, get, plain_name
from trainset.metadata.records import BadRecord, numbers

ROUNDING = 0.05  # how far a box in fractions may stick out and still be read as fractions


def are_fractions(records: Iterable[Fields], layout: Layout) -> bool:
    """Whether the boxes of a file are fractions of the image: all small, not all whole numbers.

    Args:
        records: can be gone through twice; a box in pixels ends it early.
    """
    if layout.box is None and layout.objects is None:
        return False
    if layout.objects and plain_name(layout.objects).endswith("detections"):
        items = [o for r in records for o in get(r, layout.objects) or () if isinstance(o, dict)]
        if items and all("bounding_box" in item for item in items):
            return True  # FiftyOne's boxes are fractions by definition
    whole = True
    some = False
    for values in _all_boxes(records, layout):
        some = True
        if any(not -ROUNDING <= v <= 1 + ROUNDING for v in values):
            return False
        whole = whole and all(v == int(v) for v in values)
    return some and not whole


def _all_boxes(records: Iterable[Fields], layout: Layout) -> Iterator[list[float]]:
    for fields in records:
        items: list[tuple[Fields, Box | None]] = [(fields, layout.box)]
        if layout.objects:
            objects = get(fields, layout.objects)
            found = objects if isinstance(objects, list) else ()
            items = [(item, find_box(item)) for item in found if isinstance(item, dict)]
        for item, place in items:
            try:
                values = box_values(item, place) if place else None
                if values is not None:
                    yield numbers(list(values), "box")
            except BadRecord:
                continue  # says nothing of the unit; it is rejected where its record is read
