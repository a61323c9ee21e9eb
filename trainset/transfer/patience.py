"""Reading from a disk or a network share that fails now and may work in a moment.

A stale handle or a broken connection of a share passes: the file is opened again after a pause. An
input/output error is taken for a broken disk only when the third try meets it too.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from trainset.errors import InputError, SourceChanged, TransientError
from trainset.retry_class import RetryClass, retry_class
from trainset.stores.retry import Retrier

T = TypeVar("T")
EIO_TRIES = 3
RETRIER = Retrier(attempts=7)  # after a first try: eight in all, as of a request to a store


def patiently(read: Callable[[], T], *, local: bool = True) -> T:
    """The result of ``read``, which opens a file anew each time it is called.

    Args:
        local: whether it reads a mounted file system; other stores try again by themselves.
    Raises:
        TransientError: it passed in none of eight tries.
        InputError, OSError: as the last try met it.
    """
    if not local:
        return read()
    broken = 0

    def attempt() -> T:
        nonlocal broken
        try:
            return read()
        except (InputError, OSError) as err:
            if _errno(err) == errno.EIO:
                broken += 1
                if broken < EIO_TRIES:
                    raise TransientError(f"{err}; it is read again") from err
            if isinstance(err, OSError) and retry_class(err) is RetryClass.TRANSIENT:
                raise TransientError(f"{err}; run again") from err
            raise

    try:
        return attempt()
    except SourceChanged:
        raise
    except TransientError:
        return RETRIER.call(attempt)


def _errno(err: BaseException) -> int | None:
    """Of the system's error, or of the one that ours was made from."""
    found = err if isinstance(err, OSError) else err.__cause__
    return found.errno if isinstance(found, OSError) else None
