"""Hardlinks and fsyncs for files that commits pin; whole-file writes are ``stores.atomic``."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from pathlib import Path

from trainset.stores.atomic import TEMP_PREFIX, replacing

_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES)


def sync_file(path: Path) -> None:
    """fsync one file's bytes."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data`` in one step, durably."""
    with replacing(path) as handle:
        handle.write(data)


def link_or_copy(source: Path, target: Path) -> None:
    """Make ``target`` the same bytes as ``source``: a hardlink, or a copy where links do not go.

    ``target`` appears complete or not at all, and replaces an older one. Not durable: the caller
    fsyncs the file and its folder where it matters.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.parent / f"{TEMP_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
    try:
        try:
            os.link(source, new)
        except OSError as err:
            if err.errno not in _NO_LINKS:
                raise
            shutil.copyfile(source, new)
        os.replace(new, target)
    finally:
        # Renaming onto another name of the same file does nothing and leaves both names.
        new.unlink(missing_ok=True)
