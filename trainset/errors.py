"""Every error a user can meet, grouped by what the handler does about it.

``TransientError``: try again. ``InputError``: someone fixes the input. ``ConflictError``: someone
else moved the branch, look at both sides. Each class has a stable ``kind`` (stored beside left-out
items and in ``c__err``), keeps its facts as attributes, and ends its text with the next step.
``trainset.retry_class`` says which errors are tried again, and how.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class StoreReply(NamedTuple):
    """What a server answered.

    Attributes:
        status: of HTTP.
        code: S3's name of the error; None: there was none.
        request_id: the server's own name of the request, which its support asks for.
    """

    status: int
    code: str | None = None
    request_id: str | None = None


class TrainsetError(Exception):
    """Base of all errors raised on purpose.

    ``fatal``: not this item alone, but everything that asks the same place would end so.
    ``reply``: of the server that refused, if one did.
    """

    kind = "error"
    fatal = False
    reply: StoreReply | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive Exception's own pickling; workers send errors home.
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(
    cls: type[TrainsetError], args: tuple[Any, ...], facts: dict[str, Any]
) -> TrainsetError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(facts)
    return error


class TransientError(TrainsetError):
    """The same call may go through later: throttling, resets, time-outs."""

    kind = "transient"


class Throttled(TransientError):
    """The store asks for fewer requests; ``retry_after_s`` seconds if it said how long."""

    kind = "throttled"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class ReplyLost(TransientError):
    """The request may have counted, but its reply did not come: look before it is sent again."""


class InputError(TrainsetError, ValueError):
    """The input must change before the call can work."""

    kind = "input"


class ConflictError(TrainsetError):
    """Someone else changed the same thing."""

    kind = "conflict"


class SpecError(InputError):
    """The dataset spec says something that is not allowed; names field, found and allowed."""

    kind = "spec"


class NotFound(InputError):
    """A named thing (home, ref, table, column, object, block) is not there."""

    kind = "not-found"


class BucketMissing(NotFound):
    """The bucket itself is not there."""

    fatal = True


class UploadLost(NotFound):
    """The store has forgotten an upload in parts; ``completing``: it was being completed.

    Then the reply of an earlier attempt may have been lost: look whether the object is there.
    """

    kind = "upload-lost"

    def __init__(self, message: str, *, completing: bool = False) -> None:
        self.completing = completing
        super().__init__(message)


class VersionGone(NotFound):
    """A medium outside the home is pinned to a version that its bucket does not hold any more."""

    kind = "version-gone"

    def __init__(self, uri: str, pin: str) -> None:
        self.uri, self.pin = uri, pin
        super().__init__(
            f"{uri}: the version that this commit pins ({pin}) is gone: it was overwritten, "
            "deleted, or expired by a lifecycle rule; put these bytes back, or run the pipeline "
            "again to take up what is there now"
        )


class MediaUnreadable(InputError):
    """A medium cannot be decoded; it stays in the manifest with this reason."""

    kind = "unreadable"


class AccessDenied(InputError):
    """Credentials are missing, wrong, or lack a capability."""

    kind = "access-denied"


class KeyRefused(AccessDenied):
    """The endpoint does not take this key for anything."""

    fatal = True


class StaleSignature(AccessDenied):
    """The store found the request too old or its token expired.

    It is signed again once, by the store's clock (``server_time``, seconds since the epoch, when
    it answered); when that does not help, the machine's clock or the key must be mended.
    """

    kind = "stale-signature"
    fatal = True

    def __init__(self, text: str, *, server_time: float | None = None) -> None:
        self.server_time = server_time
        super().__init__(text)


class NotSupported(InputError):
    """The store does not know how to do this at all."""

    kind = "not-supported"
    fatal = True


class StoreFull(InputError):
    """No room is left: the disk is full, or the account has reached its cap. Ends a run."""

    kind = "store-full"
    fatal = True


class MissingExtra(InputError):
    """A part needs an optional package that is not installed."""

    kind = "missing-extra"
    fatal = True

    def __init__(self, part: str, extra: str) -> None:
        self.part, self.extra = part, extra
        super().__init__(
            f"{part} needs packages that are not installed; run: pip install 'trainset[{extra}]'"
        )


class ChecksumMismatch(InputError):
    """The bytes in the store are not the bytes that were sent."""

    kind = "checksum-mismatch"

    def __init__(self, key: str, *, expected: str, found: str) -> None:
        self.key, self.expected, self.found = key, expected, found
        super().__init__(
            f"{key!r}: the store holds sha256 {found}, the manifest says {expected}; "
            "delete the object and run the transfer again"
        )


class SourceChanged(TransientError):
    """A source file changed while it was read; it waits for the next run."""

    kind = "source-changed"

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"{key!r} changed while it was read; it is taken in the next run")
