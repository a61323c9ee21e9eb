"""Listing a bucket: objects, and versions of one key or of all keys below a prefix."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from trainset.errors import AccessDenied
from trainset.stores.base import ObjectInfo

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store


class ObjectVersion(NamedTuple):
    """One version of a key; ``size`` in bytes, ``etag`` without quotes.

    ``is_latest``: a reader of the key gets it. None is when the key was deleted: then its newest
    entry is a delete marker.
    """

    version_id: str
    modified: datetime
    size: int
    is_latest: bool
    etag: str = ""


def list_objects(store: S3Store, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
    """As ``ObjectStore.list``; one request and one page in memory per 1,000 keys."""
    root, token = store.root, None
    after = root + start_after if start_after else ""
    while True:
        ask = partial(store.sender.list_page, root + prefix, start_after=after, token=token)
        page = store.request("list", prefix, ask)
        for item in page.items:
            yield ObjectInfo(
                key=item.name[len(root) :],
                size=item.size,
                version=item.etag,
                modified=item.modified,
            )
        if (token := page.token) is None:
            return


def iter_versions(store: S3Store, prefix: str) -> Iterator[tuple[str, ObjectVersion]]:
    """As ``S3Store.iter_versions``."""
    query = {"Bucket": store.bucket, "Prefix": store.root + prefix}
    more = True
    while more:
        page = store.request("list", prefix, lambda: store.client.list_object_versions(**query))
        for item in page.get("Versions", ()):
            yield (
                item["Key"][len(store.root) :],
                ObjectVersion(
                    item["VersionId"],
                    item["LastModified"],
                    item["Size"],
                    item["IsLatest"],
                    item["ETag"].strip('"'),
                ),
            )
        more = page["IsTruncated"]
        if more:
            query["KeyMarker"] = page["NextKeyMarker"]
            query["VersionIdMarker"] = page["NextVersionIdMarker"]


def list_versions(store: S3Store, key: str) -> list[ObjectVersion]:
    """As ``S3Store.list_versions``."""
    store.full_key(key)  # refuses a bad key
    versions: list[ObjectVersion] = []
    for found, version in iter_versions(store, key):
        if found != key:  # names come in order, and `key` is the least of those that start with it
            break
        versions.append(version)
    return versions[::-1]  # S3 lists the newest first


def delete_version(store: S3Store, key: str, version_id: str | None) -> None:
    """Remove one version for good; where the key may not do that, hide it."""
    if version_id is None:
        store.delete(key)
        return
    try:
        store.delete_version(key, version_id)
    except AccessDenied:
        store.delete(key)
