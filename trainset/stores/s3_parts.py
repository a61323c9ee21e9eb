"""A large local file in parts: several under way at once, none sent twice after a crash."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from trainset.errors import ChecksumMismatch, SourceChanged, UploadLost
from trainset.stores.base import ObjectInfo, PartLog
from trainset.stores.parts import part_bytes
from trainset.stores.s3_lock import ensure_locked
from trainset.stores.s3_multipart import Multipart, begin_or_resume
from trainset.stores.s3_pool import failed, finish, stop
from trainset.stores.sender import Piece

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store


def upload_parts(
    store: S3Store,
    key: str,
    source: io.BufferedReader,
    size: int,
    sha256: str,
    content_type: str | None,
    part_hashes: Sequence[str],
    log: PartLog | None,
) -> ObjectInfo:
    """Store ``source`` in parts; each part's sha256 is signed, so checked.

    With ``log`` an upload that fails is left for the next try, unless the file has changed; without
    it is taken back.

    Raises:
        ChecksumMismatch: what was read is not ``sha256``; the upload is taken back.
    """
    part_size = part_bytes(size)
    pieces = [
        Piece(source, start, min(part_size, size - start)) for start in range(0, size, part_size)
    ]
    hashes = list(part_hashes)
    if len(hashes) != len(pieces) or not store.checks_sha256:
        hashes = []
    if log is not None and (info := _finished(store, key, size, sha256, log)) is not None:
        return info
    for anew in (False, True):
        upload = begin_or_resume(
            store,
            key,
            size=size,
            part_size=part_size,
            sha256=sha256,
            content_type=content_type,
            log=log,
        )
        try:
            _send_pieces(store, key, upload, pieces, hashes, sha256)
            return upload.complete(lambda: store.stored(key, size, sha256))
        except UploadLost:  # a lifecycle rule, say: once more from the start
            upload.forget()
            if anew:
                raise
        except ChecksumMismatch as err:
            upload.take_back()
            source.seek(0)
            found = hashlib.file_digest(source, "sha256").hexdigest()  # names what the file is
            if found != sha256:
                raise ChecksumMismatch(key, expected=sha256, found=found) from err
            raise
        except SourceChanged:
            upload.take_back()
            raise
        except BaseException:
            if log is None:
                upload.take_back()
            raise
    raise AssertionError("unreachable")


def _finished(store: S3Store, key: str, size: int, sha256: str, log: PartLog) -> ObjectInfo | None:
    """The object, when an earlier process completed it and died before it could say so."""
    if log.find(store.uri(key)) is None:
        return None
    info = store.stored(key, size, sha256)
    if info is not None:
        info = ensure_locked(store, key, info)
        log.end(store.uri(key))
    return info


def _send_pieces(
    store: S3Store,
    key: str,
    upload: Multipart,
    pieces: Sequence[Piece],
    hashes: Sequence[str],
    sha256: str,
) -> None:
    jobs: list[Future[None]] = []
    try:
        for number, piece, part_hash in _hashed(key, pieces, hashes, sha256):
            kept = upload.kept.get(number)
            if kept is not None and (kept.sha256, kept.size) == (part_hash, piece.length):
                continue
            if failed(jobs):
                break
            jobs.append(store.workers.submit(upload.send, number, piece, piece.length, part_hash))
    except BaseException:
        stop(jobs)
        raise
    finish(jobs)


def _hashed(
    key: str, pieces: Sequence[Piece], hashes: Sequence[str], sha256: str
) -> Iterator[tuple[int, Piece, str]]:
    """Number, piece and sha256 of each; where they are not known, they and the whole are hashed."""
    if hashes:
        yield from zip(range(1, len(pieces) + 1), pieces, hashes, strict=True)
        return
    whole = hashlib.sha256()
    for number, piece in enumerate(pieces, 1):
        digest = hashlib.sha256()
        for block in piece.blocks():
            digest.update(block)
            whole.update(block)
        yield number, piece, digest.hexdigest()
    if whole.hexdigest() != sha256:
        raise ChecksumMismatch(key, expected=sha256, found=whole.hexdigest())
