"""What rules may ask of a file: its attributes by name, from the listing and from a look inside."""

from __future__ import annotations

import mimetypes
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from trainset.media.kinds import Kind, kind_of_name
from trainset.model import MediaFacts
from trainset.transfer.base import SourceFile

if TYPE_CHECKING:
    from trainset.transfer.ledger.base import DeadLetter

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


# What a listing shows, and the kind that a name promises.
LISTED = {n: t for n, t in ATTRIBUTES.items() if n not in ("width", "height", "duration", "pages")}
# What dead letters may be asked for: no run has looked into them.
OF_DEAD_LETTERS: dict[str, Type] = {
    **{n: t for n, t in LISTED.items() if n != "modified"},
    "kind": "text",  # of the error
    "reason": "text",
    "attempts": "number",  # over all runs
    "since": "time",
    "run": "text",  # that gave it up
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


def row_of_letter(letter: DeadLetter) -> Row:
    """The attributes of a dead letter."""
    source, _, path = letter.key.partition("/")
    kind = named_kind(path)
    return {
        "key": letter.key,
        "path": path,
        "source": source,
        "size": letter.size,
        "mime": kind and kind.mime,
        "modality": kind and kind.modality,
        "kind": letter.kind,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "since": letter.since,
        "run": letter.run_id,
    }


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
