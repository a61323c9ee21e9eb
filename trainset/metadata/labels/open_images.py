"""Open Images CSV: boxes, labels of whole images, and masks, with class names from beside.

``ImageID`` is the medium's name without extension; corners are fractions of the image.

Source: https://storage.googleapis.com/openimages/web/download_v7.html#data-formats
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.labels.registry import Beside
from trainset.metadata.records import BadRecord, NameRecords, Record, number, record, rejected
from trainset.metadata.tabular import decode, read_plain

_CORNERS = ("XMin", "XMax", "YMin", "YMax")
_FLAGS = ("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside")
_TAKEN = {"ImageID", "LabelName", "Confidence", *_CORNERS, *(f"Box{c}" for c in _CORNERS)}


def read_open_images(
    data: bytes, *, stream: str, place: str, beside: Beside
) -> Iterator[Record | Rejected]:
    """Records of one table of boxes, image-level labels or masks.

    A machine's or a person's word that a class is *not* in an image (``Confidence`` 0) is kept as
    a record of kind ``class`` with score 0.

    Args:
        data: the whole file.
        stream: name for the rejected.
        place: the file, for messages.
        beside: tables of class names (``LabelName,DisplayName``); without one, the class is the
            code, as ``/m/01yrx``.
    Raises:
        InputError: the file as a whole cannot be read.
    """
    names = _names(beside)
    namer = NameRecords()
    checked = False
    for item in read_plain(data, "csv", stream=stream, place=place):
        if isinstance(item, Rejected):
            yield item
            continue
        where, fields = item
        if not checked and not {"ImageID", "LabelName"} <= fields.keys():
            raise InputError(f"{place}: no columns ImageID and LabelName; say its format")
        checked = True
        try:
            row = _row(fields, names)
        except BadRecord as fault:
            yield rejected(stream, where, fault, fields)
        else:
            yield namer.name(row)


def _row(fields: dict[str, Any], names: dict[str, str]) -> Record:
    medium, code = fields["ImageID"].strip(), fields["LabelName"].strip()
    if not medium:
        raise BadRecord("no-media-ref", "ImageID is empty")
    prefix = "Box" if "BoxXMin" in fields else ""
    geometry: dict[str, Any] = {}
    if prefix + "XMin" in fields:
        x1, x2, y1, y2 = (
            number(fields[prefix + name], name, fault="bad-geometry") for name in _CORNERS
        )
        if x2 < x1 or y2 < y1:
            raise BadRecord("bad-geometry", f"corners {x1:g}, {y1:g}, {x2:g}, {y2:g} are swapped")
        geometry["bbox_fraction"] = [x1, y1, x2 - x1, y2 - y1]
    kind = "box" if geometry else "class"
    if path := fields.get("MaskPath"):
        geometry["mask_png"], kind = path, "mask"
    attributes: dict[str, Any] = {"label_code": code}
    for name, value in fields.items():
        if name not in _TAKEN and value != "":
            # 1 yes, 0 no, -1 not known
            attributes[name] = int(value) if name in _FLAGS and value in ("0", "1", "-1") else value
    score = fields.get("Confidence")
    return record(
        None,
        medium,
        kind,
        class_=names.get(code, code),
        geometry=geometry or None,
        score=number(score, "Confidence") if score else None,
        attributes=attributes,
    )


def _names(beside: Beside) -> dict[str, str]:
    """Class names by code; the nearest table wins. Older tables have no header line."""
    found: dict[str, str] = {}
    for _, data in beside:
        for row in csv.reader(io.StringIO(decode(data))):
            if len(row) == 2 and row[0].startswith("/"):
                found.setdefault(row[0].strip(), row[1].strip())
    return found
