"""Local files that appear whole or not at all, and stay after a power cut."""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

TEMP_PREFIX = ".trainset-tmp-"
_FICLONE = 0x40049409  # linux/fs.h: share the extents of another file
_STALE_S = 24 * 3600  # a file that is still being written has a younger mtime


@contextmanager
def replacing(target: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A new file that becomes ``target`` when the block ends well; else it goes away.

    Durable when the block has ended: the file, the rename and new folders are fsynced. With
    ``durable=False`` a power cut may leave it with other bytes: for what nobody trusts later. A
    process killed inside leaves one hidden temporary file beside ``target``; ``sweep`` removes it.
    """
    make_folder(target.parent)
    temp = target.parent / f"{TEMP_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
    try:
        with open(temp, "xb") as handle:
            yield handle
            handle.flush()
            if durable:
                os.fsync(handle.fileno())
        os.replace(temp, target)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(target.parent)


def make_folder(folder: Path) -> None:
    """Create ``folder`` and its parents so that they survive a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clone(source: BinaryIO, target: BinaryIO) -> bool:
    """Let ``target`` share the blocks of ``source`` (btrfs, XFS …); False where that cannot be."""
    try:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError:
        return False  # another file system, or one without reflinks: the caller copies
    return True


def can_clone(folder: Path) -> bool:
    """Whether files in ``folder`` can share blocks. Raises OSError where it cannot be written."""
    with (
        tempfile.TemporaryFile(dir=folder) as source,
        tempfile.TemporaryFile(dir=folder) as target,
    ):
        source.write(b"x" * 4096)
        source.flush()
        return clone(source, target)


def sweep(folder: Path) -> None:
    """Remove temporary files that a killed process left in ``folder`` more than a day ago."""
    if not folder.is_dir():
        return
    oldest = time.time() - _STALE_S
    with os.scandir(folder) as entries:
        left = [e.path for e in entries if e.name.startswith(TEMP_PREFIX)]
    for path in left:
        try:
            if os.stat(path).st_mtime < oldest:
                os.unlink(path)
        except FileNotFoundError:
            continue  # its writer finished, or another sweep was faster
