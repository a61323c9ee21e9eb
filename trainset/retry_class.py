"""What is done about an error that meets one file: the table of retry classes, as data.

The stores turn what a server or the system says into ``trainset.errors`` (``stores/s3_errors.py``,
``stores/local_errors.py``); here each of these errors has one class. Pure.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from enum import StrEnum

from trainset.errors import (
    AccessDenied,
    ChecksumMismatch,
    InputError,
    ReplyLost,
    SourceChanged,
    StaleSignature,
    Throttled,
    TrainsetError,
    TransientError,
    UploadLost,
)


class RetryClass(StrEnum):
    """What is done about an error.

    throttle: all requests to the place pause; uses up none of the file's attempts.
    transient: again on a new connection after a random pause; at last the file is deferred.
    ambiguous: it may have counted: look first, then as transient.
    integrity: the source is read again and sent once more; then someone looks at the machine.
    clock: signed again once; then as fatal.
    upload_lost: a new upload of the file from its start.
    fatal: the run pauses, no file is blamed; it goes on when someone has mended the place.
    permanent: this file alone fails; the same attempt would end the same way.
    source_changed: the file waits for the next run.
    """

    THROTTLE = "throttle"
    TRANSIENT = "transient"
    AMBIGUOUS = "ambiguous"
    INTEGRITY = "integrity"
    CLOCK = "clock"
    UPLOAD_LOST = "upload_lost"
    FATAL = "fatal"
    PERMANENT = "permanent"
    SOURCE_CHANGED = "source_changed"


# The first row that fits counts; ``fatal`` errors are found by their attribute, after CLOCK.
_BY_ERROR: tuple[tuple[type[TrainsetError], RetryClass], ...] = (
    (Throttled, RetryClass.THROTTLE),
    (ReplyLost, RetryClass.AMBIGUOUS),
    (SourceChanged, RetryClass.SOURCE_CHANGED),
    (TransientError, RetryClass.TRANSIENT),
    (ChecksumMismatch, RetryClass.INTEGRITY),
    (UploadLost, RetryClass.UPLOAD_LOST),
    (InputError, RetryClass.PERMANENT),
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
PASSING = frozenset(  # of a file system, mounted from a server perhaps
    {
        errno.EAGAIN,
        errno.EINTR,
        errno.EMFILE,
        errno.ENFILE,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ECONNRESET,
        errno.ECONNREFUSED,
        errno.ECONNABORTED,
        errno.EPIPE,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENOTCONN,
    }
)


def retry_class(err: BaseException) -> RetryClass:
    """The class of ``err``, ours or the system's; errors that nobody foresaw are permanent."""
    if isinstance(err, StaleSignature):
        return RetryClass.CLOCK
    if isinstance(err, TrainsetError) and err.fatal:
        return RetryClass.FATAL
    if isinstance(err, UploadLost) and err.completing:
        return RetryClass.AMBIGUOUS
    for kind, found in _BY_ERROR:
        if isinstance(err, kind):
            return found
    if isinstance(err, OSError):
        if err.errno in _FULL:
            return RetryClass.FATAL
        passing = err.errno in PASSING or isinstance(err, TimeoutError | ConnectionError)
        return RetryClass.TRANSIENT if passing else RetryClass.PERMANENT
    return RetryClass.PERMANENT


def is_run_fatal(err: BaseException) -> bool:
    """Whether every other file would meet the same: the run pauses and no file is blamed.

    True of a stale signature too: the store's retries had signed again when it comes here.
    """
    return retry_class(err) in (RetryClass.FATAL, RetryClass.CLOCK)


def confirm_fatal(err: BaseException, probe: Callable[[], object]) -> bool:
    """Whether ``err``, met by one file, means that the place refuses everything.

    A 403 on one key does not tell which of the two it is, so the place is asked once more.

    Args:
        probe: a small request of the same kind (for a PUT, another PUT); called only when ``err``
            leaves it open. A passing fault of it proves nothing, so the answer is False.
    """
    if is_run_fatal(err):
        return True
    if not isinstance(err, AccessDenied):
        return False
    try:
        probe()
    except AccessDenied:
        return True
    except TrainsetError as other:
        return is_run_fatal(other)
    return False
