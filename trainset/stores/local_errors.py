"""The one seam where the operating system's errors become ours."""

from __future__ import annotations

import errno

from trainset.errors import (
    AccessDenied,
    InputError,
    NotFound,
    StoreFull,
    TrainsetError,
    TransientError,
)
from trainset.retry_class import PASSING
from trainset.stores.seam import Seam

_FULL = {errno.ENOSPC, errno.EDQUOT}
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


def translated(place: str) -> Seam:
    """Turn an ``OSError`` of the block into one of ``trainset.errors`` that names ``place``."""
    return Seam(_ours, place)


def _ours(err: BaseException, place: str) -> TrainsetError | None:
    if not isinstance(err, OSError):
        return None
    text = err.strerror or str(err)
    if err.errno in _FULL:
        return StoreFull(f"{place}: {text}; free some disk space and run again")
    if err.errno in _ABSENT:
        return NotFound(f"{place}: {text}; check the path")
    if err.errno in _REFUSED:
        return AccessDenied(f"{place}: {text}; give this user permission on it")
    if err.errno in PASSING:
        return TransientError(f"{place}: {text}; run again")
    return InputError(f"{place}: {text}; check the file and its disk")
