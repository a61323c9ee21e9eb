"""What the probe does with an object of its own: put, get, overwrite, lock, delete."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

from trainset.errors import AccessDenied, ChecksumMismatch, InputError, TrainsetError
from trainset.stores.s3 import S3Store
from trainset.stores.s3_settings import call

# What a PUT with If-None-Match did on an object that exists. "ignored" would overwrite it.
Conditional = Literal["supported", "refused", "ignored", "unknown"]

# (what, action): runs the action, notes a refusal under what, and gives its result or None.
Trying = Callable[[str, Callable[[], Any]], Any]

_PROBE_LOCK = timedelta(days=1)


def try_read(store: S3Store, listing: dict[str, Any], trying: Trying) -> None:
    """Get the first byte of the first object that is there."""
    keys = (item["Key"][len(store.root) :] for item in listing.get("Contents", ()))
    if key := next(filter(None, keys), ""):
        trying("get", lambda: store.get(key, length=1))


def try_object(store: S3Store, trying: Trying, facts: dict[str, Any]) -> None:
    """Write one small object, read it, see what else a PUT takes, and delete it."""
    key, body = f".trainset-probe/{secrets.token_hex(8)}", b"trainset doctor\n"
    if trying("put", lambda: store.put(key, body)) is None:
        return
    if trying("get", lambda: store.get(key)) not in (None, body):
        trying("get", lambda: _differs(key))
    facts["conditional_put"] = _conditional(store, key)
    facts["checksum_headers"] = _takes_checksums(store, key)
    facts["checks_sha256"] = _checks_sha256(store, key)
    trying("delete", lambda: store.delete(key))
    _delete_versions(store, key, facts)


def _differs(key: str) -> None:
    raise InputError(f"{key!r} came back with other bytes than were sent; tell the store's support")


def _conditional(store: S3Store, key: str) -> Conditional:
    try:
        store.request("put", key, lambda: store.named("put_object", key, Body=b"", IfNoneMatch="*"))
    except TrainsetError as err:
        status = _status(err)
        if status == 412:
            return "supported"
        return "refused" if status in (400, 501) else "unknown"
    return "ignored"


def _takes_checksums(store: S3Store, key: str) -> bool | None:
    crc32 = base64.b64encode(binascii.crc32(b"x").to_bytes(4, "big")).decode()
    try:
        store.request(
            "put", key, lambda: store.named("put_object", key, Body=b"x", ChecksumCRC32=crc32)
        )
    except TrainsetError as err:
        return False if _status(err) in (400, 501) else None
    return True


def _checks_sha256(store: S3Store, key: str) -> bool | None:
    """As ``S3Store.checks_sha256``; on an object that goes with all its versions."""

    def lie() -> Any:
        return store.named("put_object", key, Body=b"x", Metadata={"sha256": "0" * 64})

    try:
        store.request("put", key, lie)
    except ChecksumMismatch:
        return True
    except TrainsetError:
        return None
    return False


def _status(err: TrainsetError) -> int | None:
    reply: dict[str, Any] = getattr(err.__cause__, "response", {})
    status: int | None = reply.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


def _delete_versions(store: S3Store, key: str, facts: dict[str, Any]) -> None:
    """Delete the probe with every version and hide marker of it, as far as the key may."""
    name = store.full_key(key)
    try:
        reply = call(store, "list_object_versions", Prefix=name)
    except TrainsetError as err:  # the object itself is gone; not every store keeps versions
        facts["not_tried"]["versions"] = str(err)
        return
    left = [*reply.get("Versions", ()), *reply.get("DeleteMarkers", ())]
    try:
        while left:
            which = {"Key": name, "VersionId": left[0]["VersionId"]}
            call(store, "delete_object", **which)
            facts["deletes_versions"] = True
            left.pop(0)
    except AccessDenied:
        facts["deletes_versions"] = False
    except TrainsetError:
        pass  # whether the key may is not known; what stays is told
    facts["left_behind"] = len(left)


def try_lock(store: S3Store, now: datetime, trying: Trying, facts: dict[str, Any]) -> None:
    """Governance only: what compliance locks, nobody could remove."""
    key = f".trainset-probe/locked-{secrets.token_hex(8)}"
    until = now + _PROBE_LOCK

    def put() -> Any:
        return store.named(
            "put_object",
            key,
            Body=b"x",
            ContentMD5=base64.b64encode(hashlib.md5(b"x", usedforsecurity=False).digest()).decode(),
            ObjectLockMode="GOVERNANCE",
            ObjectLockRetainUntilDate=until,
        )

    if trying("lock", lambda: store.request("put", key, put)) is not None:
        facts["locked_probe"] = key
        trying("lock", lambda: _read_lock(store, key))


def _read_lock(store: S3Store, key: str) -> Any:
    return store.request("get", key, lambda: store.named("get_object_retention", key))
