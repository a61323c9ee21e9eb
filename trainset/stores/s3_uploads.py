"""Unfinished multipart uploads of a bucket: their parts are stored and billed, and no listing of
objects shows them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from trainset.errors import NotFound

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store


class UnfinishedUpload(NamedTuple):
    """An upload that was begun and neither completed nor aborted; ``key`` as its store has it."""

    key: str
    upload_id: str
    begun: datetime


def iter_uploads(store: S3Store, prefix: str) -> Iterator[UnfinishedUpload]:
    """Unfinished uploads of keys with ``prefix``, by key; one request and page per 1,000.

    Raises:
        AccessDenied, InputError: this key or this server does not list uploads.
    """
    query: dict[str, Any] = {"Bucket": store.bucket, "Prefix": store.root + prefix}
    more = True
    while more:
        page = store.request("list", prefix, lambda: store.client.list_multipart_uploads(**query))
        for item in page.get("Uploads", ()):
            name = item["Key"][len(store.root) :]
            yield UnfinishedUpload(name, item["UploadId"], item["Initiated"])
        more = bool(page.get("IsTruncated"))
        if more:
            query["KeyMarker"] = page["NextKeyMarker"]
            query["UploadIdMarker"] = page["NextUploadIdMarker"]


def uploaded_bytes(store: S3Store, upload: UnfinishedUpload) -> tuple[int, int]:
    """How many parts an upload has so far, and their bytes; (0, 0) when it has just ended."""
    query: dict[str, Any] = {
        "Bucket": store.bucket,
        "Key": store.root + upload.key,
        "UploadId": upload.upload_id,
    }
    parts = size = 0
    while True:
        try:
            page = store.request("list", upload.key, lambda: store.client.list_parts(**query))
        except NotFound:
            return 0, 0
        parts += len(page.get("Parts", ()))
        size += sum(part["Size"] for part in page.get("Parts", ()))
        if not page.get("IsTruncated"):
            return parts, size
        query["PartNumberMarker"] = page["NextPartNumberMarker"]
