"""What a stream of an Excel sheet's rows does not say: merged cells, and formulas without a value.

openpyxl tells of merged cells only when it holds the whole sheet in memory, so the sheet's XML is
looked through for these two marks alone.
"""

from __future__ import annotations

import posixpath
import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field

_BLOCK = 2**20
_OVERLAP = 2**15  # a cell with the longest formula is shorter
_MERGED = re.compile(rb'<mergeCell ref="([A-Z]+[0-9]+:[A-Z]+[0-9]+)"')
_NO_VALUE = re.compile(
    rb'<c r="([A-Z]+[0-9]+)"[^>]*>\s*<f(?:[^>]*/>|[^>]*>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>'
)
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


@dataclass
class SheetMarks:
    """Ranges such as ``A2:A5``, and cells such as ``B7``."""

    merged: set[str] = field(default_factory=set)
    unvalued: set[str] = field(default_factory=set)


def sheet_marks(book: zipfile.ZipFile, title: str) -> SheetMarks:
    """Look through the sheet of that name.

    Raises:
        KeyError, ET.ParseError: the workbook's own list of sheets is broken.
    """
    marks = SheetMarks()
    for text in _stretches(book, _path_of(book, title)):
        marks.merged.update(found.decode() for found in _MERGED.findall(text))
        marks.unvalued.update(found.decode() for found in _NO_VALUE.findall(text))
    return marks


def _path_of(book: zipfile.ZipFile, title: str) -> str:
    sheets = ET.fromstring(book.read("xl/workbook.xml")).findall(".//{*}sheet")
    ids = {sheet.get("name"): sheet.get(_ID) for sheet in sheets}
    rels = ET.fromstring(book.read("xl/_rels/workbook.xml.rels"))
    target = {rel.get("Id"): str(rel.get("Target")) for rel in rels}[ids[title]]
    return target[1:] if target.startswith("/") else posixpath.normpath(f"xl/{target}")


def _stretches(book: zipfile.ZipFile, path: str) -> Iterator[bytes]:
    tail = b""
    with book.open(path) as sheet:
        while block := sheet.read(_BLOCK):
            text = tail + block
            yield text
            tail = text[-_OVERLAP:]
