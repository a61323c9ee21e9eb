"""Which medium a Label Studio task shows: told from its ``data``, never guessed among several."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from trainset.metadata.names import looks_like_media
from trainset.metadata.records import BadRecord

_PLACE = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|/)[^\s<>\"]+")
_KEYS = ("image", "img", "video", "audio", "pdf", "document", "url", "file", "media")


@dataclass(frozen=True)
class TaskMedia:
    """The media of one task: references by the ``data`` field that holds them.

    Attributes:
        fields: one reference each, or several for the pages of a list.
        left: what else ``data`` holds; a reference that had to be unwrapped stays here too.
    """

    fields: dict[str, tuple[str, ...]]
    left: dict[str, Any]

    def ref_of(self, item: dict[str, Any]) -> str:
        """The medium of a result item.

        ``to_name`` is the name of an object tag, and by habit that of its field in ``data``.

        Raises:
            BadRecord: there is no medium, or several and nothing says which.
        """
        named = self.fields.get(str(item.get("to_name")))
        if named is None:
            if not self.fields:
                raise BadRecord(
                    "no-media-ref",
                    "no field of the task's data names a medium; put its name or URL there",
                )
            named = next(iter(self.fields.values()))
            if len(self.fields) > 1 and item:
                listed = ", ".join(self.fields)
                raise BadRecord(
                    "ambiguous-media",
                    f"the task shows several media ({listed}) and {item.get('to_name')!r} is none "
                    "of them; name the object tag like the field of its medium",
                )
        page = item.get("item_index", 0)
        if not isinstance(page, int) or not 0 <= page < len(named):
            raise BadRecord("no-media-ref", f"page {page!r} is not among the task's {len(named)}")
        return named[page]


def media_of(task: dict[str, Any]) -> TaskMedia:
    """Find the media in a task's ``data``.

    Fields that read like a medium's name count; else those with a path or URL under a usual name
    (``image``, ``audio`` …); else any with a path or URL. The name of an uploaded file is used
    where ``data`` has only a path without an extension.
    """
    data: dict[str, Any] = task["data"]
    plain = {k: refs for k, v in data.items() if (refs := _references(v))}
    found = {k: refs for k, refs in plain.items() if all(map(looks_like_media, refs))}
    upload = task.get("file_upload")
    if not found and plain and looks_like_media(upload):
        name = next((k for k in _KEYS if k in plain), next(iter(plain)))
        return TaskMedia({name: (str(upload),)}, data)
    if not found:
        usual = {k: refs for k, refs in plain.items() if k.lower() in _KEYS}
        found = usual or plain
    left = {k: v for k, v in data.items() if k not in found or _as_said(v) != found[k]}
    return TaskMedia(found, left)


def _references(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    refs = [_reference(v) for v in values]
    return tuple(r for r in refs if r is not None) if refs and all(refs) else ()


def _as_said(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def _reference(value: Any) -> str | None:
    """A value as a reference to a medium, out of the addresses that Label Studio wraps it in."""
    if not isinstance(value, str) or not (looks_like_media(value) or _PLACE.fullmatch(value)):
        return None
    query = parse_qs(urlsplit(value).query) if "?" in value else {}
    if "/data/local-files/" in value and query.get("d"):
        return query["d"][0]
    if ("/resolve/" in value or "/presign/" in value) and query.get("fileuri"):
        try:
            return base64.urlsafe_b64decode(query["fileuri"][0] + "==").decode()
        except ValueError:
            return value
    return value
