"""What a file's name or a reference to it says, compared the way labelling tools bend names."""

from __future__ import annotations

import hashlib
import posixpath
import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote

from trainset.model import Modality

_BY_MODALITY: dict[Modality, str] = {
    "image": "jpg jpeg jpe jfif png gif bmp webp tif tiff avif heic heif jp2 ppm pgm pnm",
    "video": "mp4 m4v mov avi mkv webm mpg mpeg wmv flv mts m2ts 3gp ogv",
    "audio": "wav mp3 flac ogg oga opus m4a aac wma aif aiff",
    "document": "pdf",
}
EXTENSIONS: dict[str, Modality] = {
    ext: modality for modality, exts in _BY_MODALITY.items() for ext in exts.split()
}
SHA256 = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
_TOOL_PREFIX = re.compile(r"[0-9a-f]{8}-(?=.)")  # Label Studio puts it before an uploaded name
_UNUSUAL = re.compile(r"[^\x21-\x7e]|[\\:]|//|\./|/\.$")  # what ``normal`` may have to change
_ADDRESS = re.compile(r"[?#%]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def normal(path: str) -> str:
    """A path with ``/`` between segments, no ``.`` segments, ``..`` resolved, NFC; scheme kept."""
    if not _UNUSUAL.search(path):
        return path
    path = unicodedata.normalize("NFC", path.strip())
    path = path.replace("\\", "/")
    scheme = m[0] if (m := _SCHEME.match(path)) else ""
    rest = path[len(scheme) :]
    if "//" in rest or "./" in rest or rest.endswith("/."):
        rest = posixpath.normpath(rest)
        rest = "/" + rest.lstrip("/") if rest.startswith("/") else rest
    return ("" if scheme == "file://" else scheme) + rest


def decoded(path: str) -> str:
    """A normal path as a URL means it: no query, no fragment, percent signs resolved."""
    if not _ADDRESS.search(path):
        return normal(path)
    return normal(unquote(re.split(r"[?#]", path, maxsplit=1)[0]))


def without_scheme(path: str) -> str:
    """``s3://bucket/a/b`` gives ``bucket/a/b``, ``/a/b`` gives ``a/b``."""
    return _SCHEME.sub("", path).lstrip("/")


def extension(path: str) -> str:
    """The lower-case extension without its dot, of a path or of a URL; else an empty string."""
    name = posixpath.basename(path.split("?", 1)[0])
    return name.rpartition(".")[2].lower() if "." in name[1:] else ""


def stem(name: str) -> str:
    """A file name without its extension, when it has one that is not just a number's decimals."""
    head, _, tail = name.rpartition(".")
    return head if head and (tail.lower() in EXTENSIONS or tail.isalpha()) else name


def without_tool_prefix(name: str) -> str:
    """A file name without the 8 hex digits that Label Studio puts before it."""
    return _TOOL_PREFIX.sub("", name, count=1) if _TOOL_PREFIX.match(name) else name


def looks_like_media(value: object) -> bool:
    """Whether a value reads like the name, path or hash of a medium."""
    if not isinstance(value, str) or not value or len(value) > 2000 or "\n" in value:
        return False
    return extension(value) in EXTENSIONS or SHA256.fullmatch(value) is not None


@lru_cache(maxsize=4096)
def safe_name(path: str, *, limit: int = 100) -> str:
    """A path as one path segment of ``[A-Za-z0-9._-]``; different paths give different names."""
    plain = path.replace("/", "__")
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", plain)[:limit].lstrip("._-")
    if safe != plain or "__" in path:
        safe = f"{safe or 'x'}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"
    return safe
