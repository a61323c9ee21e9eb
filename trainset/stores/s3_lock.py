"""Locks on objects that were made in parts or as copies: asked for twice where a store needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainset.stores.base import ObjectInfo
from trainset.stores.s3_protect import retention_of

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
