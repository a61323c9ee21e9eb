"""Copies that the store makes itself, from another bucket of the same account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainset.errors import SourceChanged, TransientError
from trainset.stores.base import ObjectInfo
from trainset.stores.s3_lock import ensure_locked
from trainset.stores.s3_multipart import begin
from trainset.stores.s3_pool import finish
from trainset.stores.s3_protect import object_parameters

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

PARTS_FROM = 2**30  # objects above this size are copied in parts (one copy takes 5 GB at most)
PART_BYTES = 2**30


def copy_object(
    store: S3Store,
    key: str,
    source: S3Store,
    path: str,
    etag: str,
    version_id: str | None,
    size: int,
    sha256: str | None = None,
    content_type: str | None = None,
) -> ObjectInfo:
    """As ``S3Store.copy_from``."""
    origin = {"Bucket": source.bucket, "Key": source.full_key(path)}
    if version_id is not None:
        origin["VersionId"] = version_id
    pinned: dict[str, Any] = {
        "CopySource": origin,
        "CopySourceIfMatch": f'"{etag}"',
        **source.protector.read("CopySourceSSECustomer"),
    }
    if size > PARTS_FROM:
        _copy_parts(store, key, source, path, pinned, version_id, size, sha256, content_type)
    else:
        extra = {**pinned, **store.protector.write()}
        if sha256 is not None:
            extra |= object_parameters(
                store.protector, key, store.full_key(key), {"sha256": sha256}, content_type
            )
            extra["MetadataDirective"] = "REPLACE"
        store.request(
            "copy",
            key,
            lambda: store.named("copy_object", key, **extra),
            found=lambda: _copied(store, key, size, etag, sha256),
        )
    info = store.head(key)
    if version_id is None:
        _check_source(store, key, source, path, etag, size, info)
    if info is None or info.size != size or sha256 not in (None, info.sha256):
        raise TransientError(f"{store.uri(key)}: not whole after its copy; run again")
    return ensure_locked(store, key, info)


def _check_source(
    store: S3Store,
    key: str,
    source: S3Store,
    path: str,
    etag: str,
    size: int,
    copy: ObjectInfo | None,
) -> None:
    """Take the copy back when the source was overwritten: Ceph heeds no ``CopySourceIfMatch``."""
    found = source.head(path)
    if found is not None and (found.version, found.size) == (etag, size):
        return
    if copy is not None:
        which = {"VersionId": copy.version_id} if copy.version_id else {}
        store.request("delete", key, lambda: store.named("delete_object", key, **which))
    raise SourceChanged(path)


def _copied(
    store: S3Store, key: str, size: int, etag: str, sha256: str | None
) -> ObjectInfo | None:
    """The copy, if a lost reply said that it is made; its ETag is the source's unless in parts."""
    if sha256 is not None:
        return store.stored(key, size, sha256)
    info = store.head(key)
    return info if info is not None and (info.size, info.version) == (size, etag) else None


def _copy_parts(
    store: S3Store,
    key: str,
    source: S3Store,
    path: str,
    pinned: dict[str, Any],
    version_id: str | None,
    size: int,
    sha256: str | None,
    content_type: str | None,
) -> None:
    which = {} if version_id is None else {"VersionId": version_id}
    head = source.request(
        "head",
        path,
        lambda: source.named("head_object", path, **which, **source.protector.read()),
    )
    metadata = head.get("Metadata", {}) if sha256 is None else {"sha256": sha256}
    content_type = content_type or head.get("ContentType")
    upload = begin(store, key, size, PART_BYTES, None, metadata, content_type, None)
    own = {**store.protector.read(), "UploadId": upload.upload.upload_id}

    def copy(number: int, start: int) -> None:
        span = f"bytes={start}-{min(start + PART_BYTES, size) - 1}"
        arguments = {**pinned, **own, "PartNumber": number, "CopySourceRange": span}
        reply = store.request(
            "copy", key, lambda: store.named("upload_part_copy", key, **arguments)
        )
        upload.etags[number] = reply["CopyPartResult"]["ETag"].strip('"')

    def there() -> ObjectInfo | None:
        info = store.head(key)
        return info if info is not None and info.size == size else None

    try:
        finish(
            [
                store.workers.submit(copy, number, start)
                for number, start in enumerate(range(0, size, PART_BYTES), 1)
            ]
        )
        upload.complete(there)
    except BaseException:
        upload.take_back()
        raise
