"""Writing objects in one request, checked by the server and safe when the reply is lost."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from trainset.errors import ChecksumMismatch
from trainset.stores.base import ObjectInfo
from trainset.stores.s3_multipart import upload_parts

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

_PROBE = ".trainset-probe"


def put_bytes(
    store: S3Store, key: str, data: bytes, sha256: str | None, content_type: str | None
) -> ObjectInfo:
    """As ``ObjectStore.put``."""
    known = hashlib.sha256(data).hexdigest() if sha256 is None else sha256
    if sha256 is not None and not store.checks_sha256:
        _compare(key, sha256, hashlib.sha256(data).hexdigest())
    try:
        return _put_body(store, key, lambda: data, len(data), known, content_type)
    except ChecksumMismatch:
        _compare(key, known, hashlib.sha256(data).hexdigest())  # names what the bytes are
        raise


def put_open_file(
    store: S3Store,
    key: str,
    source: io.BufferedReader,
    sha256: str | None,
    content_type: str | None,
) -> ObjectInfo:
    """As ``ObjectStore.put_file``; without ``sha256`` the file is read twice."""
    known = sha256
    if known is None or not store.checks_sha256:
        found = hashlib.file_digest(source, "sha256").hexdigest()
        known = known or found
        _compare(key, known, found)
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    if size >= store.multipart_bytes:
        return upload_parts(store, key, source, size, known, content_type)

    def body() -> io.BufferedReader:
        source.seek(0)
        return source

    try:
        return _put_body(store, key, body, size, known, content_type)
    except ChecksumMismatch:
        _compare(key, known, hashlib.file_digest(body(), "sha256").hexdigest())
        raise


def server_checks_sha256(store: S3Store) -> bool:
    """Whether the server compares the signed sha256 with the bytes: asked by a deliberate lie.

    AWS and Ceph do. Where it is False, bytes are hashed once more here before they leave.
    """

    def lie() -> Any:
        return store.named("put_object", _PROBE, Body=b"x", Metadata={"sha256": "0" * 64})

    try:
        store.request("put", _PROBE, lie)
    except ChecksumMismatch:
        return True
    store.delete(_PROBE)
    return False


def version_id_of(reply: dict[str, Any]) -> str | None:
    """The version id in a reply; None from a bucket that keeps no versions."""
    found = reply.get("VersionId")
    return None if found in (None, "null") else str(found)


def _put_body(
    store: S3Store,
    key: str,
    body: Callable[[], bytes | io.BufferedReader],
    size: int,
    sha256: str,
    content_type: str | None,
) -> ObjectInfo:
    extra = {"ContentType": content_type} if content_type else {}

    def send() -> ObjectInfo:
        reply = store.named(
            "put_object",
            key,
            Body=body(),
            ContentLength=size,
            Metadata={"sha256": sha256},
            **extra,
        )
        return ObjectInfo(
            key=key,
            size=size,
            version=reply["ETag"].strip('"'),
            version_id=version_id_of(reply),
            modified=_reply_time(reply),
            sha256=sha256,
        )

    # A PUT whose reply was lost is there: sent again it would be a second, billed version.
    return store.request("put", key, send, found=lambda: store.stored(key, size, sha256))


def _compare(key: str, expected: str, found: str) -> None:
    if found != expected:
        raise ChecksumMismatch(key, expected=expected, found=found)


def _reply_time(reply: dict[str, Any]) -> datetime:
    """The server's clock when it took the object; a HEAD only for this would double requests."""
    try:
        return parsedate_to_datetime(reply["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)
