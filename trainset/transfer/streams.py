"""Names of streamed objects: bytes that were sent before their sha256 was known. Pure.

A stream lies at ``<media>/u/<upload>``; beside it a note ``<media>/u/<upload>.<sha256>`` says what
its bytes are. S3 takes metadata only when an upload begins, and then nobody knows the sha256; and
a name is told by a listing, where metadata would cost a request each.
"""

from __future__ import annotations

import re

_SHA256 = re.compile(r"[0-9a-f]{64}")


def note_key(stream_key: str, sha256: str) -> str:
    """The key of the note beside a streamed object."""
    return f"{stream_key}.{sha256}"


def parse_note(key: str) -> tuple[str, str] | None:
    """(key of the streamed object, sha256) when ``key`` is that of a note."""
    stream, _, sha256 = key.rpartition(".")
    return (stream, sha256) if is_stream(key) and _SHA256.fullmatch(sha256) else None


def is_stream(key: str) -> bool:
    """Whether a key below the media is that of a streamed object, or of the note beside one."""
    return key.split("/")[-2:-1] == ["u"]  # content lies in folders of two hex digits
