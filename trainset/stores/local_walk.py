"""Walking a folder (a disk, a NAS) in the byte order of its keys."""

from __future__ import annotations

import os
import re
import stat as stat_bits
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from trainset.errors import AccessDenied, NotFound
from trainset.stores.atomic import TEMP_PREFIX
from trainset.stores.base import ObjectInfo
from trainset.stores.local_errors import translated
from trainset.stores.tree_walk import Watch, walk_tree

_Inode = tuple[int, int]
_ODD_BYTE = re.compile(rb"\\x([89a-f][0-9a-f])")
_SPECIAL = ((stat_bits.S_ISFIFO, "FIFO"), (stat_bits.S_ISSOCK, "socket"))


def spelled(name: str) -> str:
    """A file name as valid Unicode: bytes that are not UTF-8 read ``\\xNN``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def root_prefix(root: Path) -> str:
    """What the names of all files below ``root`` begin with."""
    return f"{root}/" if str(root) != "/" else "/"


def find_spelled(name: str) -> str:
    """The file behind a path that ``spelled`` wrote; ``name`` itself where there is no other.

    Text, for a path object would cost more than the system's own work.
    """
    if "\\x" in name and not os.path.lexists(name):
        raw = _ODD_BYTE.sub(lambda odd: bytes([int(odd[1], 16)]), os.fsencode(name))
        if os.path.lexists(raw):
            return os.fsdecode(raw)
    return name


def file_info(key: str, found: os.stat_result, *, sha256: str | None = None) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size=found.st_size,
        version=str(found.st_mtime_ns),
        modified=_time(found.st_mtime),
        sha256=sha256,
    )


def _time(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError):  # a broken clock wrote it; the version keeps the number
        return datetime.fromtimestamp(0, UTC)


def walk_folder(root: Path, prefix: str, start_after: str, watch: Watch) -> Iterator[ObjectInfo]:
    """Files below ``root``, as ``Walkable.walk``.

    Raises:
        NotFound: the root is not there, or went away while it was walked (a lost mount must not
            look like deleted files).
        AccessDenied, TransientError, InputError: a folder cannot be read, and nobody is to be
            told of it.
    """
    start = _inode(root)
    tree = _Tree(root, watch)
    for key, _ in walk_tree(tree.open, prefix, start_after, watch):
        info = tree.look(key)
        if info is not None:
            yield info
    if _inode(root) != start:
        raise NotFound(
            f"{spelled(str(root))} went away while it was listed; mount it again and run again"
        )


def _inode(root: Path) -> _Inode:
    with translated(spelled(str(root))):
        if root.is_dir():
            found = os.stat(root)
            return (found.st_dev, found.st_ino)
    raise NotFound(
        f"{spelled(str(root))} is not a folder; mount it, create it, or mend the path"
    ) from None


class _Tree:
    """The folders from the root to the current one."""

    def __init__(self, root: Path, watch: Watch) -> None:
        self.root, self.watch = root, watch
        self._prefix = root_prefix(root)
        self._parents: list[tuple[str, _Inode]] = []
        self._barred: set[str] = set()  # folders whose names may be read, and nothing more

    def open(self, folder: str) -> Iterator[tuple[str, None]]:
        path = find_spelled(self._prefix + folder)
        while self._parents and not folder.startswith(self._parents[-1][0]):
            self._parents.pop()
        try:
            here = os.stat(path)
            inode = (here.st_dev, here.st_ino)
            if any(inode == parent for _, parent in self._parents):
                return  # a link to one of its own parents: its files are listed there
            names = _names(path)
        except (FileNotFoundError, NotADirectoryError):
            return  # removed while we walked; of the root, `walk_folder` looks again
        except OSError as err:
            self._unreadable(folder, err)
            return
        self._parents.append((folder, inode))
        for name in names:
            if folder in self._barred:
                return
            yield name, None

    def look(self, key: str) -> ObjectInfo | None:
        """The facts of a file; of a link to nothing, the link's own: it is not overlooked."""
        path = find_spelled(self._prefix + key)
        try:
            try:
                found = os.stat(path)
            except PermissionError:
                raise
            except OSError:
                return file_info(key, os.lstat(path))
        except FileNotFoundError:
            return None  # removed while we walked
        except PermissionError as err:
            folder = key[: key.rfind("/") + 1]
            self._barred.add(folder)
            self._unreadable(folder, err)
            return None
        except OSError as err:
            self._unreadable(key, err)
            return None
        mode = found.st_mode
        if not stat_bits.S_ISREG(mode):
            # A FIFO would block a reader for ever; sockets and devices hold no media.
            what = next((word for fits, word in _SPECIAL if fits(mode)), "device")
            if not stat_bits.S_ISDIR(mode):
                self.watch.refuse(
                    key,
                    "special-file",
                    f"{self.root}/{key} is a {what}, not a file; move it away or exclude it",
                )
            return None
        return file_info(key, found)

    def _unreadable(self, key: str, err: OSError) -> None:
        """Tell of a folder ("a/b/") or file that the system refuses to show."""
        place = f"{spelled(str(self.root))}/{key}"
        if isinstance(err, PermissionError):
            reason = (
                f"the folder {place} may not be read; give this user read and search permission "
                "on it, or exclude it"
            )
        else:
            reason = f"{place} cannot be read ({err.strerror}); check its disk or mount"
        if self.watch.unreadable is not None:
            self.watch.unreadable(key, reason)
        elif isinstance(err, PermissionError):
            raise AccessDenied(reason) from err
        else:
            with translated(place):
                raise err


def _names(folder: str) -> list[str]:
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
