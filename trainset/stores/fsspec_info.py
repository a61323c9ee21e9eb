"""What fsspec's drivers say of a file, in our words; each driver has its own. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from trainset.stores.base import ObjectInfo

# In the order in which they are believed; the time comes last, and then the size alone.
_VERSIONS = (
    ("etag", "ETag", "e_tag", "eTag"),
    ("generation", "version_id"),
    ("checksum", "md5Hash", "content_md5", "md5", "crc32c", "CRC", "blob_id", "hex"),
)
_TIMES = (
    "mtime",
    "LastModified",
    "last_modified",
    "updated",
    "modified",
    "modify",
    "modificationTime",
    "date_time",
    "created",
)
_UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)
_MS_FROM = 10**11  # a number of this size counts milliseconds since 1970, not seconds


def kind_of(info: Mapping[str, Any]) -> str:
    """``file``, ``folder``, ``link`` or ``other``."""
    said = str(info.get("type", "file")).lower()
    if said in ("directory", "dir"):
        return "folder"
    if said in ("link", "symlink") or info.get("islink"):
        return "link"
    return said if said == "file" else "other"


def object_info(key: str, info: Mapping[str, Any]) -> ObjectInfo | None:
    """The facts of a file; None when the driver does not know its size.

    ``version`` is the first of: ETag; generation or version id; checksum; time of change in ns;
    ``size-<bytes>``.
    """
    size = info.get("size")
    if size is None:
        return None
    modified = time_of(info)
    version = next(
        (str(info[name]).strip('"') for names in _VERSIONS for name in names if info.get(name)),
        None,
    )
    if version is None and modified is not None:
        version = str(_ns(modified))
    version_id = info.get("generation") or info.get("version_id")
    return ObjectInfo(
        key=key,
        size=int(size),
        version=version or f"size-{size}",
        version_id=str(version_id) if version_id else None,
        modified=modified or _UNKNOWN_TIME,
    )


def time_of(info: Mapping[str, Any]) -> datetime | None:
    """When the file changed last, aware; a time without zone is taken for UTC."""
    for name in _TIMES:
        found = _time(info.get(name))
        if found is not None:
            return found
    return None


def _time(value: Any) -> datetime | None:
    try:
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return datetime.fromtimestamp(value / 1000 if value >= _MS_FROM else value, UTC)
        if isinstance(value, tuple) and len(value) == 6:  # of a zip's entry
            return datetime(*value, tzinfo=UTC)
        if isinstance(value, str) and value[:14].isdecimal() and len(value) >= 14:  # of FTP
            return datetime.strptime(value[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        if isinstance(value, str) and value:
            return _time(datetime.fromisoformat(value))
    except (OverflowError, ValueError):
        pass
    return None


def _ns(time: datetime) -> int:
    since = time - _UNKNOWN_TIME
    return ((since.days * 86_400 + since.seconds) * 10**6 + since.microseconds) * 1000
