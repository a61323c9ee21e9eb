"""Large files in parts: each checked by the store, and resumed where an upload was cut off."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Sequence
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

from trainset.errors import (
    ChecksumMismatch,
    NotFound,
    SourceChanged,
    TrainsetError,
    TransientError,
    UploadLost,
)
from trainset.stores.base import ObjectInfo, Part, PartLog, Upload
from trainset.stores.parts import hash_parts, part_bytes
from trainset.stores.sender import Piece, body_blocks

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

_log = logging.getLogger(__name__)


def upload_parts(
    store: S3Store,
    key: str,
    source: io.BufferedReader,
    size: int,
    sha256: str | None,
    content_type: str | None,
    part_hashes: Sequence[str] = (),
    log: PartLog | None = None,
) -> ObjectInfo:
    """Store an open file in parts; each part's sha256 is signed, so the store checks it.

    With a ``log``, an upload that is cut off (a kill, a network that stays away) goes on in the
    next call, in whatever process: parts that the store has and the log knows are not sent again.
    Without one it is taken back.

    Raises:
        ChecksumMismatch: the file is not ``sha256``, or no longer; the upload is taken back.
    """
    step = part_bytes(size)
    if sha256 is None or len(part_hashes) != -(-size // step):
        source.seek(0)
        found, part_hashes = hash_parts(source, step)
        if sha256 not in (None, found):
            raise ChecksumMismatch(key, expected=str(sha256), found=found)
        sha256 = found
    job = _Job(store, key, source, size, sha256, step, part_hashes, log)
    try:
        return job.run(content_type)
    except UploadLost:
        job.forget()  # the store dropped it (a lifecycle rule, say): once more from the start
        return job.run(content_type)


class _Job:
    """One file's upload; see ``upload_parts``."""

    def __init__(
        self,
        store: S3Store,
        key: str,
        source: io.BufferedReader,
        size: int,
        sha256: str,
        step: int,
        hashes: Sequence[str],
        log: PartLog | None,
    ) -> None:
        self._store, self._key, self._source = store, key, source
        self._size, self._sha256, self._step, self._hashes = size, sha256, step, hashes
        self._log, self._uri = log, store.uri(key)

    def run(self, content_type: str | None) -> ObjectInfo:
        upload_id, etags = self._find() or (self._begin(content_type), {})
        try:
            self._send(upload_id, etags)
            self._complete(upload_id, etags)
        except UploadLost:
            raise
        except (ChecksumMismatch, SourceChanged):
            self._abort(upload_id)
            raise
        except BaseException:
            if self._log is None:
                self._abort(upload_id)
            raise
        # Complete may answer 200 with an error inside or an empty ETag: what is there counts.
        info = self._store.stored(self._key, self._size, self._sha256)
        if info is None:
            raise TransientError(f"{self._uri}: not there after its upload; run again")
        self.forget()
        return info

    def forget(self) -> None:
        if self._log is not None:
            self._log.end(self._uri)

    def _find(self) -> tuple[str, dict[int, str]] | None:
        """An unfinished upload of these very bytes, and the ETags of the parts that are there."""
        known = self._log.find(self._uri) if self._log is not None else None
        if known is None or self._log is None:
            return None
        if (known.size, known.part_bytes, known.sha256) != (self._size, self._step, self._sha256):
            self._abort(known.upload_id)
            return None
        try:
            there = _list_parts(self._store, self._key, known.upload_id)
        except NotFound:
            self.forget()
            return None
        return known.upload_id, {
            part.number: part.etag
            for part in self._log.parts(self._uri)
            if there.get(part.number) == (part.size, part.etag)
            and part.sha256 == self._hashes[part.number - 1]
        }

    def _begin(self, content_type: str | None) -> str:
        store = self._store
        extra = store.write_parameters(self._sha256, content_type)
        created = store.request(
            "put", self._key, lambda: store.named("create_multipart_upload", self._key, **extra)
        )
        upload_id = str(created["UploadId"])
        if self._log is not None:
            self._log.begin(
                self._uri,
                Upload(
                    upload_id=upload_id,
                    size=self._size,
                    part_bytes=self._step,
                    sha256=self._sha256,
                ),
            )
        return upload_id

    def _send(self, upload_id: str, etags: dict[int, str]) -> None:
        """Send the parts that ``etags`` lacks, and put theirs in."""

        def send(number: int) -> None:
            etags[number] = self._send_part(upload_id, number)

        lacking = [n for n in range(1, len(self._hashes) + 1) if n not in etags]
        sent = [self._store.part_workers.submit(send, number) for number in lacking]
        try:
            for future in sent:
                future.result()
        finally:
            for future in sent:
                future.cancel()
            wait(sent)  # none may go on when the file is closed

    def _send_part(self, upload_id: str, number: int) -> str:
        store, start = self._store, (number - 1) * self._step
        sha256 = self._hashes[number - 1]
        piece = Piece(self._source, start, min(self._step, self._size - start))
        if not store.checks_sha256:
            self._compare(piece, sha256)
        extra = dict(store.key_parameters)
        if store.options.protection.locks:
            from trainset.stores.s3_put import content_md5

            extra["ContentMD5"] = content_md5(piece)
        name = store.full_key(self._key)
        etag = store.request(
            "put",
            self._key,
            lambda: store.sender.upload_part(name, upload_id, number, piece, sha256, extra),
        )
        if self._log is not None:
            part = Part(number=number, size=piece.length, etag=etag, sha256=sha256)
            self._log.note(self._uri, part)
        return etag

    def _compare(self, piece: Piece, sha256: str) -> None:
        digest = hashlib.sha256()
        for block in body_blocks(piece, None):
            digest.update(block)
        if digest.hexdigest() != sha256:
            raise ChecksumMismatch(self._key, expected=sha256, found=digest.hexdigest())

    def _complete(self, upload_id: str, etags: dict[int, str]) -> None:
        store = self._store
        parts = [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]

        def is_there() -> bool | None:
            return True if store.stored(self._key, self._size, self._sha256) else None

        def finish() -> bool:
            store.named(
                "complete_multipart_upload",
                self._key,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
            )
            return True

        try:
            # When the reply was lost, the upload is gone (NoSuchUpload) and the object is there.
            store.request("put", self._key, finish, found=is_there)
        except NotFound:
            if not is_there():
                raise

    def _abort(self, upload_id: str) -> None:
        """Take the upload back (its parts are billed); the error under way matters more."""
        store = self._store
        try:
            store.request(
                "abort",
                self._key,
                lambda: store.named("abort_multipart_upload", self._key, UploadId=upload_id),
            )
        except TrainsetError as err:
            _log.warning(
                "an unfinished upload of %s stays until a lifecycle rule: %s", self._key, err
            )
        self.forget()


def _list_parts(store: S3Store, key: str, upload_id: str) -> dict[int, tuple[int, str]]:
    """Size and ETag of each part that the store has."""
    found: dict[int, tuple[int, str]] = {}
    query: dict[str, Any] = {"UploadId": upload_id}
    while True:
        page = store.request("list", key, lambda: store.named("list_parts", key, **query))
        for part in page.get("Parts", ()):
            found[part["PartNumber"]] = (part["Size"], part["ETag"].strip('"'))
        if not page.get("IsTruncated"):
            return found
        query["PartNumberMarker"] = page["NextPartNumberMarker"]
