"""The one seam where the operating system's errors become ours."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from trainset.errors import AccessDenied, InputError, NotFound, StoreFull, TransientError
from trainset.retry_class import PASSING

_FULL = {errno.ENOSPC, errno.EDQUOT}
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn an ``OSError`` of the block into one of ``trainset.errors`` that names ``place``."""
    try:
        yield
    except OSError as err:
        text = err.strerror or str(err)
        if err.errno in _FULL:
            raise StoreFull(f"{place}: {text}; free some disk space and run again") from err
        if err.errno in _ABSENT:
            raise NotFound(f"{place}: {text}; check the path") from err
        if err.errno in _REFUSED:
            raise AccessDenied(f"{place}: {text}; give this user permission on it") from err
        if err.errno in PASSING:
            raise TransientError(f"{place}: {text}; run again") from err
        raise InputError(f"{place}: {text}; check the file and its disk") from err
