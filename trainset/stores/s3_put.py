"""Writing objects in one request, checked by the server and safe when the reply is lost."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainset.errors import ChecksumMismatch, InputError
from trainset.stores.base import ObjectInfo, PartLog
from trainset.stores.s3_multipart import upload_parts
from trainset.stores.sender import Body, Piece, body_blocks, body_length, known_version

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

_PROBE = ".trainset-probe"
_NAME_AND_METADATA_BYTES = 2048  # with encryption or Object Lock, which B2 has on by default


def put_bytes(
    store: S3Store, key: str, data: bytes, sha256: str | None, content_type: str | None
) -> ObjectInfo:
    """As ``ObjectStore.put``."""
    known = hashlib.sha256(data).hexdigest() if sha256 is None else sha256
    if sha256 is not None and not store.checks_sha256:
        _compare(key, sha256, hashlib.sha256(data).hexdigest())
    return _put_body(store, key, data, known, content_type)


def put_open_file(
    store: S3Store,
    key: str,
    source: io.BufferedReader,
    sha256: str | None,
    content_type: str | None,
    part_hashes: Sequence[str] = (),
    log: PartLog | None = None,
) -> ObjectInfo:
    """As ``ObjectStore.put_file``; without ``sha256`` the file is read twice."""
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    if size >= store.multipart_bytes:
        return upload_parts(store, key, source, size, sha256, content_type, part_hashes, log)
    known = sha256
    if known is None or not store.checks_sha256:
        found = hashlib.file_digest(source, "sha256").hexdigest()
        known = known or found
        _compare(key, known, found)
    return _put_body(store, key, Piece(source, 0, size), known, content_type)


def content_md5(body: Body) -> str:
    """As B2 wants it with Object Lock: base64."""
    digest = hashlib.md5(usedforsecurity=False)
    for block in body_blocks(body, None):
        digest.update(block)
    return base64.b64encode(digest.digest()).decode()


def check_name(key: str, name: str, metadata: dict[str, str]) -> None:
    """Raises InputError when name and metadata are longer than B2 takes."""
    count = len(name.encode()) + sum(len(k) + len(v.encode()) for k, v in metadata.items())
    if count > _NAME_AND_METADATA_BYTES:
        raise InputError(
            f"{key[:200]!r}: name and metadata are {count} bytes, B2 takes "
            f"{_NAME_AND_METADATA_BYTES}; shorten the name"
        )


def server_checks_sha256(store: S3Store) -> bool:
    """Whether the server compares the signed sha256 with the bytes: asked by a deliberate lie.

    AWS and Ceph do. Where it is False, bytes are hashed once more here before they leave.
    """
    name = store.full_key(_PROBE)

    def lie() -> Any:
        return store.sender.put_object(name, b"x", "0" * 64, store.key_parameters)

    try:
        store.request("put", _PROBE, lie)
    except ChecksumMismatch:
        return True
    store.delete(_PROBE)
    return False


def version_id_of(reply: dict[str, Any]) -> str | None:
    """The version id in a reply; None from a bucket that keeps no versions."""
    return known_version(reply.get("VersionId"))


def _put_body(
    store: S3Store, key: str, body: Body, sha256: str, content_type: str | None
) -> ObjectInfo:
    name, size = store.full_key(key), body_length(body)
    extra = store.write_parameters(sha256, content_type)
    check_name(key, name, extra["Metadata"])
    if store.options.protection.locks:
        extra["ContentMD5"] = content_md5(body)

    def send() -> ObjectInfo:
        reply = store.sender.put_object(name, body, sha256, extra)
        return ObjectInfo(
            key=key,
            size=size,
            version=reply.etag,
            version_id=reply.version_id,
            modified=reply.modified,
            sha256=sha256,
        )

    try:
        # A PUT whose reply was lost is there: sent again it would be a second, billed version.
        return store.request("put", key, send, found=lambda: store.stored(key, size, sha256))
    except ChecksumMismatch:
        found = hashlib.sha256()
        for block in body_blocks(body, None):
            found.update(block)
        _compare(key, sha256, found.hexdigest())  # names what the bytes are
        raise


def _compare(key: str, expected: str, found: str) -> None:
    if found != expected:
        raise ChecksumMismatch(key, expected=expected, found=found)
