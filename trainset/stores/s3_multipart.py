"""An upload in parts as the store keeps it: begin, ask what is there, complete, take back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trainset.errors import NotFound, StoreReply, TrainsetError, TransientError
from trainset.stores.base import ObjectInfo, Part, PartLog, Upload
from trainset.stores.s3_errors import request_id
from trainset.stores.s3_lock import ensure_locked
from trainset.stores.s3_protect import object_parameters
from trainset.stores.sender import Body

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

_log = logging.getLogger(__name__)


class Multipart:
    """One upload under way.

    Attributes:
        kept: parts that the store had when we came, by number.
        etags: of the parts that the store has now, by number.
    """

    def __init__(
        self, store: S3Store, key: str, upload: Upload, kept: dict[int, Part], log: PartLog | None
    ) -> None:
        self.upload, self.kept = upload, kept
        self._store, self._key, self._log = store, key, log
        self._name, self._uri = store.full_key(key), store.uri(key)
        self.etags = {number: part.etag for number, part in kept.items()}

    def send(self, number: int, body: Body, size: int, sha256: str) -> None:
        """Send one part and remember it. Raises UploadLost."""
        store = self._store
        md5 = store.protector.body(body, md5=not store.checks_sha256)
        extra = {**store.protector.read(), **md5}
        etag = store.request(
            "put",
            self._key,
            lambda: store.sender.upload_part(
                self._name, self.upload.upload_id, number, body, sha256, extra
            ),
        )
        part = Part(number=number, size=size, etag=etag, sha256=sha256)
        if self._log is not None:
            self._log.note(self._uri, part)
        self.etags[number] = etag

    def complete(self, there: Callable[[], ObjectInfo | None]) -> ObjectInfo:
        """Make the object of all parts.

        Args:
            there: looks for the finished object. It alone decides: Complete may answer 200 with an
                error inside or an empty ETag, or its reply may be lost.
        Raises:
            UploadLost: the store has lost the upload, and has no such object.
        """
        store = self._store
        parts = [{"PartNumber": n, "ETag": f'"{etag}"'} for n, etag in sorted(self.etags.items())]

        reply: StoreReply | None = None

        def send() -> None:
            nonlocal reply
            said = store.client.complete_multipart_upload(
                MultipartUpload={"Parts": parts}, **self._where()
            )
            reply = StoreReply(200, request_id=request_id(said["ResponseMetadata"]))

        info: ObjectInfo | None = None
        try:
            info = store.request("put", self._key, send, found=there)
        except NotFound:
            # When the reply was lost, the upload is gone and the object is there.
            if (info := there()) is None:
                raise
        info = info or there()
        if info is None:
            raise TransientError(f"{self._uri}: not there after its upload; run again")
        info = ensure_locked(store, self._key, info)
        self.forget()
        return info.model_copy(update={"reply": reply})

    def take_back(self) -> None:
        """Abort the upload (its parts are billed); the error under way matters more than ours."""
        store = self._store
        try:
            store.request(
                "abort", self._key, lambda: store.client.abort_multipart_upload(**self._where())
            )
        except NotFound:
            pass  # gone already
        except TrainsetError as err:
            _log.warning(
                "an unfinished upload stays until a lifecycle rule: %s: %s", self._uri, err
            )
        self.forget()

    def forget(self) -> None:
        """The log need not know this upload any more."""
        if self._log is not None:
            self._log.end(self._uri)

    def stored_parts(self) -> dict[int, tuple[int, str]]:
        """Number -> (size, ETag) of the parts that the store has.

        Raises:
            NotFound: the store has lost the upload (Ceph says so as if it were a key).
        """
        store, found = self._store, dict[int, tuple[int, str]]()
        query: dict[str, Any] = self._where()
        while True:
            page = store.request("list", self._key, lambda: store.client.list_parts(**query))
            for part in page.get("Parts", ()):
                found[part["PartNumber"]] = (part["Size"], part["ETag"].strip('"'))
            if not page.get("IsTruncated"):
                return found
            query["PartNumberMarker"] = page["NextPartNumberMarker"]

    def _where(self) -> dict[str, Any]:
        return {
            "Bucket": self._store.bucket,
            "Key": self._name,
            "UploadId": self.upload.upload_id,
        }


def begin_or_resume(
    store: S3Store,
    key: str,
    *,
    size: int,
    part_size: int,
    sha256: str | None,
    content_type: str | None,
    log: PartLog | None,
) -> Multipart:
    """Go on with the upload that ``log`` remembers when it is of the same bytes; else begin one.

    Args:
        sha256: of the whole; None when it is not known yet.
    """
    uri = store.uri(key)
    if log is not None and (found := log.find(uri)) is not None:
        old = Multipart(store, key, found, {}, log)
        if (found.size, found.part_bytes, found.sha256) != (size, part_size, sha256):
            old.take_back()
        else:
            try:
                stored = old.stored_parts()
                noted = {p.number: p for p in log.parts(uri)}
                kept = {n: p for n, p in noted.items() if stored.get(n) == (p.size, p.etag)}
                return Multipart(store, key, found, kept, log)
            except NotFound:
                log.end(uri)
    metadata = {} if sha256 is None else {"sha256": sha256}
    return begin(store, key, size, part_size, sha256, metadata, content_type, log)


def begin(
    store: S3Store,
    key: str,
    size: int,
    part_size: int,
    sha256: str | None,
    metadata: Mapping[str, str],
    content_type: str | None,
    log: PartLog | None,
) -> Multipart:
    """Begin an upload, and remember it before anything else can happen."""
    extra = object_parameters(store.protector, key, store.full_key(key), metadata, content_type)
    created = store.request(
        "put", key, lambda: store.named("create_multipart_upload", key, **extra)
    )
    upload = Upload(upload_id=created["UploadId"], size=size, part_bytes=part_size, sha256=sha256)
    if log is not None:
        log.begin(store.uri(key), upload)
    return Multipart(store, key, upload, {}, log)
