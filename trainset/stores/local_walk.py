"""Walking a folder in the byte order of its keys, one folder's names in memory at a time."""

from __future__ import annotations

import os
import re
import stat as stat_bits
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from trainset.errors import AccessDenied
from trainset.stores.atomic import TEMP_PREFIX
from trainset.stores.base import ObjectInfo

# Told of a folder that cannot be read: its key ("" or ending with "/") and the reason.
OnUnreadable = Callable[[str, str], None]

_Inode = tuple[int, int]
_ODD_BYTE = re.compile(rb"\\x([89a-f][0-9a-f])")


def spelled(name: str) -> str:
    """A file name as valid Unicode: bytes that are not UTF-8 read ``\\xNN``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def find_spelled(path: Path) -> Path:
    """The file behind a path that ``spelled`` wrote; ``path`` itself where there is no other."""
    if "\\x" in str(path) and not os.path.lexists(path):
        raw = _ODD_BYTE.sub(lambda odd: bytes([int(odd[1], 16)]), os.fsencode(path))
        if os.path.lexists(raw):
            return Path(os.fsdecode(raw))
    return path


def file_info(key: str, found: os.stat_result, *, sha256: str | None = None) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size=found.st_size,
        version=str(found.st_mtime_ns),
        modified=datetime.fromtimestamp(found.st_mtime, UTC),
        sha256=sha256,
    )


def walk_folder(
    root: Path, prefix: str, start_after: str, on_unreadable: OnUnreadable | None
) -> Iterator[ObjectInfo]:
    """Files below ``root`` with ``prefix``, after ``start_after``, ascending by their UTF-8 bytes.

    Raises:
        AccessDenied: a folder may not be read, and nobody is to be told of it.
    """

    def cannot_read(folder: str, err: PermissionError) -> None:
        reason = (
            f"the folder {root}/{folder} may not be read; give this user read and search "
            "permission on it, or exclude it"
        )
        if on_unreadable is None:
            raise AccessDenied(reason) from err
        on_unreadable(folder, reason)

    def walk(folder: str, parents: frozenset[_Inode]) -> Iterator[ObjectInfo]:
        path = find_spelled(root / folder)
        try:
            here = os.stat(path)
            inode = (here.st_dev, here.st_ino)
            if inode in parents:
                return  # a link to one of its own parents: its files are listed there
            names = _names(path)
        except (FileNotFoundError, NotADirectoryError):
            return  # removed while we walked
        except PermissionError as err:
            return cannot_read(folder, err)
        for name in names:
            key = folder + name
            if name.endswith("/"):
                if _may_hold(key, prefix, start_after):
                    yield from walk(key, parents | {inode})
            elif key > start_after and key.startswith(prefix):
                try:
                    info = _listed(key, find_spelled(root / key))
                except PermissionError as err:
                    return cannot_read(folder, err)
                if info is not None:
                    yield info

    return walk("", frozenset())


def _names(folder: Path) -> list[str]:
    """Names in ``folder`` in the order of the keys below them.

    A folder sorts as ``name/``: "a.txt" comes before everything in "a", "a0" after it. Comparing
    code points gives the order of the UTF-8 bytes.
    """
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(TEMP_PREFIX):
                continue
            try:
                is_folder = entry.is_dir()
            except OSError:
                is_folder = False  # a link in a circle: listed as a file that cannot be read
            names.append(spelled(entry.name) + ("/" if is_folder else ""))
    names.sort()
    return names


def _may_hold(folder: str, prefix: str, start_after: str) -> bool:
    """Whether a folder (``a/b/``) can hold a key with ``prefix`` after ``start_after``."""
    if not (folder.startswith(prefix) or prefix.startswith(folder)):
        return False
    return folder > start_after or start_after.startswith(folder)


def _listed(key: str, path: Path) -> ObjectInfo | None:
    """The facts of a file; of a link to nothing, the link's own, so that it is not overlooked."""
    try:
        found = os.stat(path)
    except PermissionError:
        raise
    except OSError:
        try:
            return file_info(key, os.lstat(path))
        except FileNotFoundError:
            return None  # removed while we walked
    # FIFOs would block a reader for ever; sockets and devices hold no media.
    return file_info(key, found) if stat_bits.S_ISREG(found.st_mode) else None
