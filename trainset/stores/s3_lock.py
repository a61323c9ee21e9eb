"""Locks on objects that are there: made in parts or as copies, or reached by a tag."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from trainset.errors import InputError
from trainset.stores.base import ObjectInfo, ObjectStore
from trainset.stores.s3_protect import retention_of
from trainset.stores.s3_settings import read_settings

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store


def ensure_locked(store: S3Store, key: str, info: ObjectInfo) -> ObjectInfo:
    """Set the lock where the store did not heed it when the object was begun; says until when.

    Ceph 16 takes the lock headers of a single PUT only, and says nothing of the others.

    Raises:
        AccessDenied: the key may not set locks; the object is there, unlocked.
    """
    wanted = store.protector.lock()
    if not wanted:
        return info
    which: dict[str, Any] = {"VersionId": info.version_id} if info.version_id else {}
    held = store.request("head", key, lambda: store.named("head_object", key, **which))
    if "ObjectLockMode" in wanted and "ObjectLockMode" not in held:
        retention = {
            "Mode": wanted["ObjectLockMode"],
            "RetainUntilDate": wanted["ObjectLockRetainUntilDate"],
        }
        store.request(
            "lock",
            key,
            lambda: store.named("put_object_retention", key, Retention=retention, **which),
        )
    if "ObjectLockLegalHoldStatus" in wanted and "ObjectLockLegalHoldStatus" not in held:
        hold = {"Status": wanted["ObjectLockLegalHoldStatus"]}
        store.request(
            "lock",
            key,
            lambda: store.named("put_object_legal_hold", key, LegalHold=hold, **which),
        )
    until = retention_of(held) or retention_of(wanted)
    return info.model_copy(update={"retention_until": until})


def keep_until(
    store: S3Store, key: str, version_id: str | None, mode: str, until: datetime
) -> bool:
    """Let nobody delete an object before ``until``; False: it was kept so long already.

    A lock only ever grows: a longer one stays, and compliance stays compliance.

    Args:
        version_id: None: the newest version, whichever it is.
        mode: governance or compliance.
    Raises:
        NotFound: there is no such object.
        AccessDenied: the key may not set locks, or the store does not let this one grow.
    """
    which: dict[str, Any] = {"VersionId": version_id} if version_id else {}
    held = store.request("head", key, lambda: store.named("head_object", key, **which))
    if version_id is None and held.get("VersionId") not in (None, "null"):
        which = {"VersionId": held["VersionId"]}
    now, strict = retention_of(held), held.get("ObjectLockMode") == "COMPLIANCE"
    if now is not None and now >= until and (strict or mode == "governance"):
        return False
    wanted = {
        "Mode": "COMPLIANCE" if strict else mode.upper(),
        "RetainUntilDate": until if now is None else max(until, now),
    }
    store.request(
        "lock", key, lambda: store.named("put_object_retention", key, Retention=wanted, **which)
    )
    return True


def check_lockable(store: ObjectStore) -> None:
    """Raise InputError for a store that takes no locks. One that may not be asked passes."""
    from trainset.stores.s3 import S3Store

    if not isinstance(store, S3Store):
        raise InputError(
            f"{store.url} is a folder, and locks are a bucket's: take `lock_tags` out of the "
            "spec, or move the home into a bucket with Object Lock"
        )
    lock = read_settings(store).lock
    if lock is not None and not lock.enabled:
        raise InputError(
            f"the bucket {store.bucket} has no Object Lock, and tags are to be locked; switch it "
            "on at the bucket's page (or make a bucket with it), or take lock_tags out of the spec"
        )
