"""Which label format a file is in, from its first bytes; the name's extension is not trusted."""

from __future__ import annotations

import csv
import re

from trainset.errors import InputError
from trainset.metadata.formats.packing import packing_of, unpacked_head
from trainset.metadata.formats.parquet_rows import MAGIC as PARQUET
from trainset.metadata.labels.registry import FORMATS
from trainset.metadata.labels.signs import (
    sign_of_columns,
    sign_of_json,
    sign_of_text,
    sign_of_xml,
)
from trainset.metadata.outline import Outline, outline
from trainset.metadata.records import load_json
from trainset.metadata.tabular import RECORD_LISTS, decode, find_delimiter
from trainset.model import Frozen

HEAD_BYTES = 2**16  # what ``recognise`` wants to see first
MORE_BYTES = 2**22  # and when it then answers that the head says too little

READ = {
    **{item.name: item.title for item in FORMATS.values()},
    "json": "JSON records",
    "jsonl": "JSON Lines",
    "csv": "CSV",
    "parquet": "Parquet",
    "xlsx": "Excel (.xlsx)",
}
LATER = {
    "old-office": "an old Office file (.xls), or one with a password",
}
ASIDE = {"open-images-aside": "a part of Open Images that holds no labels"}
SUPPORTED = ", ".join(READ.values())

_ZIP = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PRINTABLE = re.compile(r"[^\x00-\x08\x0e-\x1f]*")
_YOLO_LINE = re.compile(r"\d+(?:\s+-?(?:\d+\.?\d*|\.\d+)(?:[eE]-?\d+)?){4,}\s*")
_OPEN_IMAGES_ASIDE = ({"imageid", "subset"}, {"labelname", "displayname"})


class Recognised(Frozen):
    """What a file is. ``format`` None: no label format; ``more``: the head was too short to say."""

    format: str | None
    more: bool = False

    @property
    def is_read(self) -> bool:
        return self.format in READ


NOTHING = Recognised(format=None)


def recognise(head: bytes, *, whole: bool) -> Recognised:
    """The label format of a file; of a compressed one, of what is in it.

    Args:
        head: its first bytes; ``HEAD_BYTES`` do nearly always.
        whole: these are all its bytes.
    """
    if packing := packing_of(head):
        inside = unpacked_head(head, packing)
        if not inside:
            return Recognised(format=None, more=not whole)  # bzip2 unpacks large blocks only
        found = NOTHING if packing_of(inside) else recognise(inside, whole=False)
        # Thousands of small files are not compressed one by one: nobody reads them so.
        known = FORMATS.get(found.format or "")
        return found if known is None or known.one_file else NOTHING
    if not head or head.startswith((PARQUET, _ZIP, _OLD_OFFICE)):
        return _binary(head, whole)
    text = decode(head)
    if not _PRINTABLE.fullmatch(text.rstrip("\ufffd")):
        return Recognised(format=None)
    start = text.lstrip()
    if sign := sign_of_text(start):
        return Recognised(format=sign)
    if start[:1] in ("{", "["):
        return _json(start, whole)
    if start[:1] == "<":
        return Recognised(format=_xml(start))
    lines = [line for line in text.splitlines() if line.strip()]
    if not whole and len(lines) > 1:
        lines = lines[:-1]  # cut off somewhere
    good = sum(bool(_YOLO_LINE.fullmatch(line)) for line in lines[:50])
    if good and good * 2 >= len(lines[:50]):  # a bad line is told when the file is read
        return Recognised(format="yolo")
    return Recognised(format=_csv(text, lines))


def _binary(head: bytes, whole: bool) -> Recognised:
    if head.startswith(PARQUET):
        return Recognised(format="parquet")
    if head.startswith(_OLD_OFFICE):
        return Recognised(format="old-office")
    if b"xl/workbook.xml" in head or b"xl/worksheets/" in head:
        return Recognised(format="xlsx")
    # The parts of a workbook may stand in any order, behind pictures too.
    return Recognised(format=None, more=b"[Content_Types].xml" in head and not whole)


def unknown(place: str, found: str | None) -> InputError:
    """The error for a file that is not read: names what is."""
    if found in ASIDE:
        return InputError(f"{place} is {ASIDE[found]}; take it out of the spec")
    if found in LATER:
        return InputError(
            f"{place} is {LATER[found]}, which this version does not read yet; it reads "
            f"{SUPPORTED}; convert it, or take it out of the spec"
        )
    return InputError(
        f"{place} is no label file that trainset knows; it reads {SUPPORTED}; "
        "if it is one of them all the same, say its format in the spec"
    )


def _json(text: str, whole: bool) -> Recognised:
    found = outline(text)
    if sign := sign_of_json(found):
        return Recognised(format=sign)
    if found.top == "array":
        if found.inner.get(""):
            return Recognised(format="json")
        return Recognised(format=None, more=not (whole or found.closed or found.broken))
    if (named := _json_object(found)) is not None:
        return Recognised(format=named)
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > 1 and not whole:
        lines = lines[:-1]
    good = sum(map(_is_object, lines[:20]))
    if good and good * 2 >= len(lines[:20]):
        return Recognised(format=sign_of_columns(found.keys) or "jsonl")
    return Recognised(format=None, more=not (whole or found.closed or found.broken))


def _json_object(found: Outline) -> str | None:
    keys = set(found.keys)
    inner = {name: set(names) for name, names in found.inner.items()}
    images = inner.get("images", set())
    if images & {"file_name", "coco_url"} and "id" in images:
        return "coco"
    if "image_id" in inner.get("annotations", ()) or (
        {"images", "annotations"} <= keys and "images" not in inner
    ):
        return "coco"
    if {"LabelName", "Subcategory"} <= keys:
        return "open-images-aside"
    if len(lists := [n for n in RECORD_LISTS if n in keys]) == 1 and inner.get(lists[0]):
        return "json"
    return None


def _is_object(line: str) -> bool:
    try:
        return isinstance(load_json(line), dict)
    except ValueError:
        return False


def _xml(text: str) -> str | None:
    if re.search(r"<annotation[\s>]", text[:4000]) and re.search(r"<(object|filename)>", text):
        return "voc"
    return sign_of_xml(text)


def _csv(text: str, lines: list[str]) -> str | None:
    """A header of two or more names, and rows of which half have as many cells."""
    if len(lines) < 2:
        return None
    delimiter = find_delimiter(lines[0])
    header = [name.strip() for name in next(csv.reader([lines[0]], delimiter=delimiter), [])]
    if len(header) < 2 or len(set(header)) < len(header):
        return None
    if not all(name and len(name) <= 64 and not _is_number(name) for name in header):
        return None
    names = {name.lower() for name in header}
    if {"imageid", "labelname"} <= names:
        return "open-images"
    if any(known <= names for known in _OPEN_IMAGES_ASIDE):
        return "open-images-aside"
    body = text.lstrip().partition("\n")[2]
    rows = []
    try:
        for row in csv.reader(body.splitlines(keepends=True), delimiter=delimiter):
            rows.append(len(row))
            if len(rows) >= 200:
                break
    except csv.Error:
        return None
    rows = [n for n in rows if n]
    if not rows or rows.count(len(header)) * 2 < len(rows):
        return None
    return sign_of_columns(header) or "csv"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
