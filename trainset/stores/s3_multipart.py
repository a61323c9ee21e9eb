"""Large files in parts: a few parts under way at once, the whole checked before it is completed."""

from __future__ import annotations

import hashlib
import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO

from trainset.errors import ChecksumMismatch, NotFound, TrainsetError, TransientError
from trainset.stores.base import ObjectInfo
from trainset.stores.parts import part_bytes

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

_PARTS_AT_ONCE = 4  # bounds memory: so many parts are held

_log = logging.getLogger(__name__)


def upload_parts(
    store: S3Store,
    key: str,
    source: BinaryIO,
    size: int,
    sha256: str,
    content_type: str | None,
) -> ObjectInfo:
    """Store ``source`` (at its start) in parts; each part's sha256 is signed, so checked.

    Raises:
        ChecksumMismatch: what was read is not ``sha256``; the upload is taken back.
    """
    extra = {"ContentType": content_type} if content_type else {}
    created = store.request(
        "put",
        key,
        lambda: store.client.create_multipart_upload(
            Bucket=store.bucket,
            Key=store.full_key(key),
            Metadata={"sha256": sha256},
            **extra,
        ),
    )
    upload: dict[str, Any] = {
        "Bucket": store.bucket,
        "Key": store.full_key(key),
        "UploadId": created["UploadId"],
    }
    try:
        parts, found = _send_parts(store, key, source, upload, part_bytes(size))
        if found != sha256:
            raise ChecksumMismatch(key, expected=sha256, found=found)
        _complete(store, key, upload, parts, size, sha256)
    except BaseException:
        _abort(store, key, upload)
        raise
    # Complete may answer 200 with an error inside or an empty ETag: what counts is what is there.
    info = store.stored(key, size, sha256)
    if info is None:
        raise TransientError(f"{store.uri(key)}: not there after its upload; run again")
    return info


def _send_parts(
    store: S3Store, key: str, source: BinaryIO, upload: dict[str, Any], part_size: int
) -> tuple[list[dict[str, Any]], str]:
    """Read in order, send a few at a time; the parts' names and the sha256 of what was read."""
    digest = hashlib.sha256()
    room = threading.Semaphore(_PARTS_AT_ONCE)
    sent: list[Future[dict[str, Any]]] = []

    def send(number: int, data: bytes) -> dict[str, Any]:
        try:
            reply = store.request(
                "put",
                key,
                lambda: store.client.upload_part(Body=data, PartNumber=number, **upload),
            )
            return {"PartNumber": number, "ETag": reply["ETag"]}
        finally:
            room.release()

    with ThreadPoolExecutor(_PARTS_AT_ONCE, thread_name_prefix="part") as pool:
        while True:
            room.acquire()
            if any(f.done() and f.exception() for f in sent):
                break  # result() below raises it
            data = source.read(part_size)
            if not data:
                break
            digest.update(data)
            sent.append(pool.submit(send, len(sent) + 1, data))
    return [f.result() for f in sent], digest.hexdigest()


def _complete(
    store: S3Store,
    key: str,
    upload: dict[str, Any],
    parts: list[dict[str, Any]],
    size: int,
    sha256: str,
) -> None:
    def finish() -> bool:
        store.client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload)
        return True

    def is_there() -> bool | None:
        return True if store.stored(key, size, sha256) else None

    try:
        # When the reply was lost, the upload is gone (NoSuchUpload) and the object is there.
        store.request(
            "put", key, finish, found=lambda: bool(store.stored(key, size, sha256)) or None
        )
    except NotFound:
        if not is_there():
            raise


def _abort(store: S3Store, key: str, upload: dict[str, Any]) -> None:
    """Take the upload back (its parts are billed); the error under way matters more than ours."""
    try:
        store.request("abort", key, lambda: store.client.abort_multipart_upload(**upload))
    except TrainsetError as err:
        _log.warning("an unfinished upload of %s stays until a lifecycle rule: %s", key, err)
