"""Writing objects in one request, checked by the server and safe when the reply is lost."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainset.errors import ChecksumMismatch, StoreReply
from trainset.stores.base import ObjectInfo, PartLog
from trainset.stores.s3_parts import upload_parts
from trainset.stores.s3_protect import object_parameters, retention_of
from trainset.stores.sender import Body, Piece, body_length

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

_PROBE = ".trainset-probe"


def put_bytes(
    store: S3Store, key: str, data: bytes, sha256: str | None, content_type: str | None
) -> ObjectInfo:
    """As ``ObjectStore.put``."""
    known = hashlib.sha256(data).hexdigest() if sha256 is None else sha256
    if sha256 is not None and not store.checks_sha256:
        compare(key, sha256, hashlib.sha256(data).hexdigest())
    try:
        return put_body(store, key, data, known, content_type, checked=sha256 is not None)
    except ChecksumMismatch:
        compare(key, known, hashlib.sha256(data).hexdigest())  # names what the bytes are
        raise


def put_open_file(
    store: S3Store,
    key: str,
    source: io.BufferedReader,
    sha256: str | None,
    content_type: str | None,
    part_hashes: Sequence[str],
    parts: PartLog | None,
) -> ObjectInfo:
    """As ``ObjectStore.put_file``; without ``sha256`` the file is read twice."""
    size = source.seek(0, io.SEEK_END)
    in_parts = size >= store.multipart_bytes
    known = sha256
    # A file in parts is hashed as its parts are, part by part on the way.
    if known is None or not (in_parts or store.checks_sha256):
        source.seek(0)
        found = hashlib.file_digest(source, "sha256").hexdigest()
        known = known or found
        compare(key, known, found)
    if in_parts:
        return upload_parts(store, key, source, size, known, content_type, part_hashes, parts)
    try:
        body, checked = Piece(source, 0, size), sha256 is not None
        return put_body(store, key, body, known, content_type, checked=checked)
    except ChecksumMismatch:
        source.seek(0)
        compare(key, known, hashlib.file_digest(source, "sha256").hexdigest())
        raise


def put_body(
    store: S3Store,
    key: str,
    body: Body,
    sha256: str,
    content_type: str | None,
    *,
    checked: bool = True,
) -> ObjectInfo:
    """One PUT, and what the store says of it.

    Args:
        checked: the server must compare what arrives with a hash: its own way or by Content-MD5.
    """
    name, size = store.full_key(key), body_length(body)
    extra = object_parameters(store.protector, key, name, {"sha256": sha256}, content_type)
    extra |= store.protector.body(body, md5=checked and not store.checks_sha256)
    until = retention_of(extra)

    def send() -> ObjectInfo:
        reply = store.sender.put_object(name, body, sha256, extra)
        return ObjectInfo(
            key=key,
            size=size,
            version=reply.etag,
            version_id=reply.version_id,
            modified=reply.modified,
            sha256=sha256,
            retention_until=until,
            reply=StoreReply(200, request_id=reply.request_id),
        )

    # A PUT whose reply was lost is there: sent again it would be a second, billed version.
    return store.request("put", key, send, found=lambda: store.stored(key, size, sha256))


def server_checks_sha256(store: S3Store) -> bool:
    """Whether the server compares the signed sha256 with the bytes: asked by a deliberate lie.

    AWS and Ceph do. Where it is False, bytes are hashed once more here before they leave, and their
    MD5 goes with them, which every S3 server compares.
    """
    name = store.full_key(_PROBE)
    try:
        store.request("put", _PROBE, lambda: store.sender.put_object(name, b"x", "0" * 64, {}))
    except ChecksumMismatch:
        return True
    store.delete(_PROBE)
    return False


def compare(key: str, expected: str, found: str) -> None:
    """Raise ChecksumMismatch when two sha256 differ."""
    if found != expected:
        raise ChecksumMismatch(key, expected=expected, found=found)
