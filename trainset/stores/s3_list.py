"""Listing a bucket: objects, and the versions of one key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from trainset.stores.base import ObjectInfo

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store


class ObjectVersion(NamedTuple):
    """One version of a key; ``size`` in bytes."""

    version_id: str
    modified: datetime
    size: int
    is_latest: bool


def list_objects(store: S3Store, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
    """As ``ObjectStore.list``; one request and one page in memory per 1,000 keys."""
    root = store.root
    query = {"Bucket": store.bucket, "Prefix": root + prefix}
    if start_after:
        query["StartAfter"] = root + start_after
    more = True
    while more:
        page = store.request("list", prefix, lambda: store.client.list_objects_v2(**query))
        for item in page.get("Contents", ()):
            yield ObjectInfo(
                key=item["Key"][len(root) :],
                size=item["Size"],
                version=item["ETag"].strip('"'),
                modified=item["LastModified"],
            )
        more = page["IsTruncated"]
        if more:
            query["ContinuationToken"] = page["NextContinuationToken"]


def list_versions(store: S3Store, key: str) -> list[ObjectVersion]:
    """As ``S3Store.list_versions``."""
    name = store.full_key(key)
    query = {"Bucket": store.bucket, "Prefix": name}
    versions: list[ObjectVersion] = []
    while True:
        page = store.request("list", key, lambda: store.client.list_object_versions(**query))
        versions += [
            ObjectVersion(v["VersionId"], v["LastModified"], v["Size"], v["IsLatest"])
            for v in page.get("Versions", ())
            if v["Key"] == name
        ]
        # Names come in order, and `name` is the least of those that start with it.
        if not page["IsTruncated"] or page["NextKeyMarker"] != name:
            return versions[::-1]  # S3 lists the newest first
        query["KeyMarker"] = page["NextKeyMarker"]
        query["VersionIdMarker"] = page["NextVersionIdMarker"]
