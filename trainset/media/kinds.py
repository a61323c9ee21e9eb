"""What a file is, by its first bytes; the name is a hint only where bytes say too little."""

from __future__ import annotations

import re
from typing import NamedTuple

from trainset.model import Modality

HEAD_BYTES = 4096  # enough for every signature below


class Kind(NamedTuple):
    """A mime type and its modality. ``certain`` is False when only the name speaks for it."""

    mime: str
    modality: Modality
    certain: bool = True


_STARTS: tuple[tuple[bytes, str, Modality], ...] = (
    (b"\xff\xd8\xff", "image/jpeg", "image"),
    (b"\x89PNG\r\n\x1a\n", "image/png", "image"),
    (b"GIF87a", "image/gif", "image"),
    (b"GIF89a", "image/gif", "image"),
    (b"II*\x00", "image/tiff", "image"),
    (b"MM\x00*", "image/tiff", "image"),
    (b"II+\x00", "image/tiff", "image"),
    (b"MM\x00+", "image/tiff", "image"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2", "image"),
    (b"\xff\x4f\xff\x51", "image/jp2", "image"),
    (b"%PDF-", "application/pdf", "document"),
    (b"fLaC", "audio/flac", "audio"),
    (b"ID3", "audio/mpeg", "audio"),
    (b"OggS", "audio/ogg", "audio"),
    (b"#!AMR", "audio/amr", "audio"),
    (b"FLV\x01", "video/x-flv", "video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf", "video"),
    (b"\x00\x00\x01\xba", "video/mpeg", "video"),
    (b"\x00\x00\x01\xb3", "video/mpeg", "video"),
    (b"PK\x03\x04", "application/zip", "other"),
    (b"PK\x05\x06", "application/zip", "other"),
    (b"\x1f\x8b", "application/gzip", "other"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed", "other"),
    (b"Rar!\x1a\x07", "application/vnd.rar", "other"),
    (b"PAR1", "application/vnd.apache.parquet", "other"),
    (b"ARROW1", "application/vnd.apache.arrow.file", "other"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3", "other"),
)

_ANY_START = tuple(start for start, _, _ in _STARTS)

_RIFF: dict[bytes, tuple[str, Modality]] = {
    b"WAVE": ("audio/wav", "audio"),
    b"AVI ": ("video/x-msvideo", "video"),
    b"WEBP": ("image/webp", "image"),
}

_BRANDS: dict[bytes, tuple[str, Modality]] = {
    b"avif": ("image/avif", "image"),
    b"avis": ("image/avif", "image"),
    b"heic": ("image/heic", "image"),
    b"heix": ("image/heic", "image"),
    b"hevc": ("image/heic", "image"),
    b"mif1": ("image/heic", "image"),
    b"msf1": ("image/heic", "image"),
    b"M4A ": ("audio/mp4", "audio"),
    b"M4B ": ("audio/mp4", "audio"),
    b"qt  ": ("video/quicktime", "video"),
}

# Names that promise a medium. What the bytes say wins; a promise that they break is reported.
_NAMES: dict[str, tuple[str, Modality]] = {
    ".jpg": ("image/jpeg", "image"),
    ".jpeg": ("image/jpeg", "image"),
    ".png": ("image/png", "image"),
    ".gif": ("image/gif", "image"),
    ".webp": ("image/webp", "image"),
    ".bmp": ("image/bmp", "image"),
    ".tif": ("image/tiff", "image"),
    ".tiff": ("image/tiff", "image"),
    ".avif": ("image/avif", "image"),
    ".heic": ("image/heic", "image"),
    ".heif": ("image/heic", "image"),
    ".jp2": ("image/jp2", "image"),
    ".mp4": ("video/mp4", "video"),
    ".m4v": ("video/mp4", "video"),
    ".mov": ("video/quicktime", "video"),
    ".avi": ("video/x-msvideo", "video"),
    ".mkv": ("video/x-matroska", "video"),
    ".webm": ("video/webm", "video"),
    ".mpg": ("video/mpeg", "video"),
    ".mpeg": ("video/mpeg", "video"),
    ".wmv": ("video/x-ms-asf", "video"),
    ".flv": ("video/x-flv", "video"),
    ".mp3": ("audio/mpeg", "audio"),
    ".aac": ("audio/aac", "audio"),
    ".m4a": ("audio/mp4", "audio"),
    ".flac": ("audio/flac", "audio"),
    ".wav": ("audio/wav", "audio"),
    ".ogg": ("audio/ogg", "audio"),
    ".opus": ("audio/ogg", "audio"),
    ".aiff": ("audio/aiff", "audio"),
    ".amr": ("audio/amr", "audio"),
    ".pdf": ("application/pdf", "document"),
}

_TEXTS = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".ndjson": "application/jsonl",
    ".geojson": "application/json",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".xml": "application/xml",
    ".html": "text/html",
    ".md": "text/markdown",
    ".svg": "image/svg+xml",
}


def sniff(head: bytes, name: str) -> Kind:
    """The kind of a file from its first ``HEAD_BYTES`` bytes.

    A file whose bytes are no known medium but whose name promises one gets the promised kind with
    ``certain=False``: the caller tries to decode it, or says that the promise is broken.
    """
    found = _by_bytes(head)
    if found and found.modality != "other":
        return found
    promised = _NAMES.get(_ending(name))
    if promised:
        return Kind(*promised, certain=False)
    return found or _plain(head, name)


def kind_of_name(name: str) -> Kind | None:
    """The kind that a file's name promises; None where it promises none that we know."""
    ending = _ending(name)
    if ending in _NAMES:
        return Kind(*_NAMES[ending], certain=False)
    if ending in _TEXTS:
        return Kind(_TEXTS[ending], "other", certain=False)
    return None


def _ending(name: str) -> str:
    """The suffix of a name or key, as ``PurePosixPath`` has it, at a tenth of its cost."""
    last = name.rpartition("/")[2]
    at = last.rfind(".")
    return last[at:].lower() if 0 < at < len(last) - 1 else ""


def _by_bytes(head: bytes) -> Kind | None:
    if head.startswith(_ANY_START):
        return next(Kind(mime, of) for start, mime, of in _STARTS if head.startswith(start))
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] in _RIFF:
        return Kind(*_RIFF[head[8:12]])
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return Kind("audio/aiff", "audio")
    if head[4:8] == b"ftyp":
        return Kind(*_BRANDS.get(head[8:12], ("video/mp4", "video")))
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return Kind("video/quicktime", "video")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        mime = "video/webm" if b"webm" in head[:64] else "video/x-matroska"
        return Kind(mime, "video")
    if head[:2] == b"BM" and len(head) > 18 and head[15:18] == b"\0\0\0" and head[14] in _BMP_SIZES:
        return Kind("image/bmp", "image")
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return Kind("video/mp2t", "video")
    return None


_BMP_SIZES = (12, 40, 52, 56, 64, 108, 124)  # lengths of the second header of a BMP


def _plain(head: bytes, name: str) -> Kind:
    if b"\0" in head:
        return Kind("application/octet-stream", "other")
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < HEAD_BYTES else "ignore")
    except UnicodeDecodeError:
        return Kind("application/octet-stream", "other")
    if re.match(r"\s*<(!doctype html|html)", text, re.IGNORECASE):
        return Kind("text/html", "other")
    return Kind(_TEXTS.get(_ending(name), "text/plain"), "other")
