"""One version of an object of a bucket; see ``pinned``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from trainset.errors import NotFound, TransientError, VersionGone
from trainset.stores.base import ObjectInfo
from trainset.stores.pinned import ETAG, Pinned, pin_of
from trainset.stores.sender import known_version

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

T = TypeVar("T")


def head(store: S3Store, key: str, pin: str | None) -> Pinned:
    reply = _ask(store, "head", key, pin, lambda **which: store.named("head_object", key, **which))
    return _pinned(key, reply)


def get(store: S3Store, key: str, pin: str | None) -> tuple[bytes, Pinned]:
    def send(**which: Any) -> tuple[bytes, Pinned]:
        reply = store.named("get_object", key, **which)
        data = reply["Body"].read()
        if len(data) != reply["ContentLength"]:
            raise TransientError(f"{store.uri(key)} ended at byte {len(data)}; run again")
        return data, _pinned(key, reply)

    return _ask(store, "get", key, pin, send)


def read_range(store: S3Store, key: str, pin: str, start: int, length: int) -> bytes:
    """``length`` bytes from ``start``, which must be inside the object."""

    def send(**which: Any) -> bytes:
        last = start + length - 1
        reply = store.named("get_object", key, Range=f"bytes={start}-{last}", **which)
        data: bytes = reply["Body"].read()
        if len(data) != length:
            raise TransientError(f"{store.uri(key)} ended at byte {start + len(data)}; run again")
        return data

    return _ask(store, "get", key, pin, send)


def _ask(store: S3Store, what: str, key: str, pin: str | None, send: Callable[..., T]) -> T:
    """One request for the pinned version; VersionGone when it is not there."""
    which = {}
    if pin is not None:
        which = {"IfMatch": f'"{pin[len(ETAG) :]}"'} if pin.startswith(ETAG) else {"VersionId": pin}

    def attempt() -> T | None:
        try:
            return send(**which)
        except ClientError as err:
            if pin is not None and _is_gone(err):
                return None  # not to be tried again, as 412 would be
            raise

    try:
        found = store.request(what, key, attempt)
    except NotFound as err:
        cause = err.__cause__
        no_bucket = isinstance(cause, ClientError) and _code(cause) == "NoSuchBucket"
        if pin is None or no_bucket:
            raise
        raise VersionGone(store.uri(key), pin) from err
    if found is None:
        raise VersionGone(store.uri(key), str(pin))
    return found


def _is_gone(err: ClientError) -> bool:
    status = err.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in (412, 405)  # 405: the version is a hide marker


def _code(err: ClientError) -> str:
    return str(err.response.get("Error", {}).get("Code", ""))


def _pinned(key: str, reply: Any) -> Pinned:
    info = ObjectInfo(
        key=key,
        size=reply["ContentLength"],
        version=reply["ETag"].strip('"'),
        version_id=known_version(reply.get("VersionId")),
        modified=reply["LastModified"],
        sha256=reply.get("Metadata", {}).get("sha256"),
    )
    return Pinned(pin_of(info), info, reply.get("ContentType"))
