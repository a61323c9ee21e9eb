"""``Boto3Sender``: the store's boto3 client carries the bytes; works wherever boto3 does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from trainset.errors import NotSupported, SourceChanged
from trainset.stores.s3_errors import request_id
from trainset.stores.s3_page import PAGE, Item, Page
from trainset.stores.sender import (
    Body,
    Extra,
    Pace,
    Piece,
    Reply,
    body_blocks,
    body_length,
    byte_range,
    check_range,
    known_version,
    reply_time,
    total_of,
)


class Boto3Sender:
    """See ``sender.Sender``.

    Args:
        client: as ``s3_client.make_client`` makes it: its signer takes the sha256 from the body.
        pace: see ``sender.Pace``.
    """

    def __init__(self, client: Any, bucket: str, pace: Pace | None = None) -> None:
        self._client, self._bucket, self._pace = client, bucket, pace

    def put_object(self, name: str, body: Body, sha256: str, extra: Extra) -> Reply:
        reply = self._send(self._client.put_object, body, sha256, Key=name, **extra)
        return Reply(
            etag=reply.get("ETag", "").strip('"'),
            version_id=known_version(reply.get("VersionId")),
            modified=reply_time(reply["ResponseMetadata"]["HTTPHeaders"].get("date")),
            request_id=request_id(reply["ResponseMetadata"]),
        )

    def upload_part(
        self, name: str, upload_id: str, number: int, body: Body, sha256: str, extra: Extra
    ) -> str:
        which: dict[str, Any] = {"Key": name, "UploadId": upload_id, "PartNumber": number}
        reply = self._send(self._client.upload_part, body, sha256, **which, **extra)
        return str(reply.get("ETag", "")).strip('"')

    def get_object(
        self,
        name: str,
        extra: Extra,
        *,
        start: int = 0,
        length: int | None = None,
        etag: str | None = None,
        version_id: str | None = None,
    ) -> Boto3Download:
        wanted: dict[str, Any] = {
            "Range": byte_range(start, length),
            "IfMatch": None if etag is None else f'"{etag}"',
            "VersionId": version_id,
        }
        wanted = {key: value for key, value in wanted.items() if value is not None}
        reply = self._client.get_object(Bucket=self._bucket, Key=name, **wanted, **extra)
        download = Boto3Download(reply, self._pace)
        try:
            check_range(reply.get("ContentRange"), start)
        except NotSupported:
            download.close()
            raise
        return download

    def list_page(
        self, prefix: str, *, start_after: str = "", token: str | None = None, limit: int = PAGE
    ) -> Page:
        where = {"StartAfter": start_after, "ContinuationToken": token}
        page = self._client.list_objects_v2(
            Bucket=self._bucket,
            Prefix=prefix,
            MaxKeys=limit,
            **{k: v for k, v in where.items() if v},
        )
        items = tuple(
            Item(found["Key"], found["Size"], found["ETag"].strip('"'), found["LastModified"])
            for found in page.get("Contents", ())
        )
        return Page(items, page["NextContinuationToken"] if page["IsTruncated"] else None)

    def close(self) -> None:
        self._client.close()

    def _send(self, operation: Any, body: Body, sha256: str, **arguments: Any) -> Any:
        stream = _Stream(body, sha256, self._pace)
        try:
            return operation(
                Bucket=self._bucket, Body=stream, ContentLength=body_length(body), **arguments
            )
        except Exception:
            if stream.failed is not None:  # botocore takes it for a fault of the network
                raise stream.failed from None
            raise


class Boto3Download:
    """See ``sender.Download``."""

    def __init__(self, reply: Any, pace: Pace | None) -> None:
        self._body, self._pace = reply["Body"], pace
        self.size = int(reply["ContentLength"])
        self.total = total_of(reply.get("ContentRange"), self.size)
        self.etag = str(reply.get("ETag", "")).strip('"')

    def read(self, size: int) -> bytes:
        data: bytes = self._body.read(size)
        if data and self._pace is not None:
            self._pace(len(data))
        return data

    def readinto(self, buffer: memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._body.close()


class _Stream:
    """A body as botocore and urllib3 read it: in order, and again from the start."""

    def __init__(self, body: Body, sha256: str, pace: Pace | None) -> None:
        self.known_sha256 = sha256  # s3_signer looks for it
        self.failed: OSError | SourceChanged | None = None
        self._body, self._pace = body, pace
        self._block = memoryview(b"")
        self.seek(0)

    def __len__(self) -> int:
        return body_length(self._body)

    def read(self, size: int = -1) -> bytes:
        wanted = len(self) - self._at if size is None or size < 0 else size
        taken = []
        try:
            while wanted > 0:
                if not self._block:
                    self._block = memoryview(next(self._blocks, b""))
                    if not self._block:
                        break
                taken.append(self._block[:wanted])
                self._block = self._block[wanted:]
                wanted -= len(taken[-1])
        except (OSError, SourceChanged) as err:
            self.failed = err
            raise
        data = b"".join(taken)
        self._at += len(data)
        return data

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0, self.tell() if whence else 0, len(self))[whence]
        self._block = memoryview(b"")
        rest = _rest(self._body, self._at)
        self._blocks: Iterator[bytes | memoryview] = body_blocks(rest, self._pace)
        return self._at


def _rest(body: Body, start: int) -> Body:
    if isinstance(body, Piece):
        return Piece(body.source, body.offset + start, max(0, body.length - start))
    return body[start:] if start else body
