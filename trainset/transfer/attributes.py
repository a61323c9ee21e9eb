"""What rules may ask of a file: its attributes by name, from the listing and from a look inside."""

from __future__ import annotations

import mimetypes
from pathlib import PurePosixPath
from typing import Any, Literal

from trainset.media.kinds import Kind, kind_of_name
from trainset.model import MediaFacts
from trainset.transfer.base import SourceFile

Type = Literal["text", "number", "time"]
Row = dict[str, Any]  # by attribute; None: it has none (an image's duration); or UNREAD

ATTRIBUTES: dict[str, Type] = {
    "key": "text",
    "path": "text",
    "source": "text",
    "size": "number",  # bytes
    "mime": "text",
    "modality": "text",
    "width": "number",  # pixels
    "height": "number",
    "duration": "number",  # seconds
    "pages": "number",
    "modified": "time",
}


class Unread:
    """The value of an attribute that only reading the file will tell."""

    def __repr__(self) -> str:
        return "UNREAD"


UNREAD = Unread()


def row_of(file: SourceFile, facts: MediaFacts | None) -> Row:
    """The attributes of a file; without ``facts`` its name speaks for its kind."""
    row: Row = {
        "key": file.key,
        "path": file.path,
        "source": file.source,
        "size": file.size,
        "modified": file.modified,
    }
    if facts is not None:
        row |= {
            "mime": facts.mime,
            "modality": facts.modality,
            "width": facts.width,
            "height": facts.height,
            "duration": facts.duration,
            "pages": facts.pages,
        }
    else:
        kind = named_kind(file.path)
        row |= {
            "mime": UNREAD if kind is None else kind.mime,
            "modality": UNREAD if kind is None else kind.modality,
            "width": UNREAD,
            "height": UNREAD,
            "duration": UNREAD,
            "pages": UNREAD,
        }
    return row


# Python's own table, the same on every machine; what the system adds to it is left out.
_TYPES = {
    ending: mime
    for table in mimetypes.MimeTypes(filenames=()).types_map
    for ending, mime in table.items()
}


def named_kind(path: str) -> Kind | None:
    """The kind that a name promises, or None where it promises none (no ending, a rare one)."""
    if (kind := kind_of_name(path)) is not None:
        return kind
    mime = _TYPES.get(PurePosixPath(path).suffix.lower())
    if mime is None or mime.startswith(("image/", "video/", "audio/")):
        return None  # a medium that we do not know by name: its bytes will say
    return Kind(mime, "other", certain=False)
