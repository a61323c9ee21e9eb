"""``Sender``: the requests that carry bytes, and the listing. All others of a store are boto3's.

Contract (tests/stores/test_senders.py runs over every implementation):

- A body is bytes, or a piece of an open local file; a piece is never held whole in memory.
- The caller knows the body's sha256; it is signed, so a server that checks it refuses other bytes.
- ``extra`` holds S3's own parameters under boto3's names: ``Metadata``, ``ContentType``,
  ``ContentMD5``, ``ObjectLockMode``, ``SSECustomerKey`` …; values as they go over the wire.
- Faults are raised as botocore raises them, a refusal also as ``exchange.Refused``:
  ``s3_errors.translated`` is the seam for all.
- No request is repeated when the store may have taken it for a new version.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, BinaryIO, NamedTuple, Protocol

from trainset.errors import NotSupported, SourceChanged
from trainset.stores.s3_page import PAGE, Page

BLOCK = 2**18  # bytes that are read, paced and sent at once: more would not stay in the CPU's cache
JOINED = 2**18  # a body in memory up to this size goes out at once

Pace = Callable[[int], None]  # told of bytes before they go out, or after they came in; may wait
Extra = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """``length`` bytes of an open local file from ``offset`` on; its position is not used."""

    source: BinaryIO
    offset: int
    length: int

    def blocks(self) -> Iterator[bytes]:
        """The bytes, block by block. Raises SourceChanged where the file has become shorter."""
        handle, at, end = self.source.fileno(), self.offset, self.offset + self.length
        while at < end:
            block = os.pread(handle, min(BLOCK, end - at), at)
            if not block:
                raise SourceChanged(str(getattr(self.source, "name", "the file")))
            at += len(block)
            yield block


Body = bytes | Piece


def body_length(body: Body) -> int:
    """In bytes."""
    return body.length if isinstance(body, Piece) else len(body)


def body_blocks(body: Body, pace: Pace | None) -> Iterator[bytes | memoryview]:
    """What to send, in order; bytes go as one block where nothing paces them."""
    if isinstance(body, bytes) and pace is None:
        if body:
            yield body
        return
    view = memoryview(body) if isinstance(body, bytes) else None
    blocks: Iterator[bytes | memoryview] = (
        body.blocks()
        if isinstance(body, Piece)
        else ((view or memoryview(b""))[at : at + BLOCK] for at in range(0, len(body), BLOCK))
    )
    for block in blocks:
        if pace is not None:
            pace(len(block))
        yield block


def split_body(body: Body, pace: Pace | None) -> tuple[bytes, Iterator[bytes | memoryview]]:
    """What to send in one buffer with the request's head, and the blocks that follow it."""
    if isinstance(body, bytes) and len(body) <= JOINED:
        if body and pace is not None:
            pace(len(body))
        return body, iter(())
    return b"", body_blocks(body, pace)


class Reply(NamedTuple):
    """What the store says of an object it took; ``modified`` is its clock."""

    etag: str
    version_id: str | None
    modified: datetime
    request_id: str | None = None  # the store's name of the request


class Download(Protocol):
    """The reply to a GET; close it.

    Attributes:
        size: bytes that this reply brings.
        total: bytes of the whole object.
        etag: without quotes.
    """

    size: int
    total: int
    etag: str

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; b"" only when all of the reply has come."""
        ...

    def readinto(self, buffer: memoryview) -> int:
        """As ``read``, into a buffer that is used again; how many bytes came."""
        ...

    def close(self) -> None: ...


class Sender(Protocol):
    """Carries bytes to and from one bucket; ``name`` is the object's in it. Threads share it."""

    def put_object(self, name: str, body: Body, sha256: str, extra: Extra) -> Reply: ...

    def upload_part(
        self, name: str, upload_id: str, number: int, body: Body, sha256: str, extra: Extra
    ) -> str:
        """Send one part; its ETag, without quotes."""
        ...

    def get_object(
        self,
        name: str,
        extra: Extra,
        *,
        start: int = 0,
        length: int | None = None,
        etag: str | None = None,
        version_id: str | None = None,
    ) -> Download:
        """Start a GET of ``length`` bytes (at least 1) from ``start``; None: to the end.

        Args:
            etag: the version that is wanted; another one is refused (412).
        """
        ...

    def list_page(
        self, prefix: str, *, start_after: str = "", token: str | None = None, limit: int = PAGE
    ) -> Page:
        """At most ``limit`` (1 … 1,000) objects whose name starts with ``prefix``, ascending.

        Args:
            token: of the page before.
        """
        ...

    def close(self) -> None:
        """Close idle connections; the next request opens its own."""
        ...


def byte_range(start: int, length: int | None) -> str | None:
    """The ``Range`` header; None for the whole object."""
    if start == 0 and length is None:
        return None
    return f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"


def check_range(content_range: str | None, start: int) -> None:
    """Refuse a reply with other bytes than from ``start`` on: a server may ignore ``Range``."""
    if start and not (content_range or "").startswith(f"bytes {start}-"):
        raise NotSupported(
            f"the store was asked for bytes from {start} on and sent {content_range or 'all'}; "
            "it cannot send ranges, or something between cannot: go to it without a proxy"
        )


def total_of(content_range: str | None, size: int) -> int:
    """Bytes of the whole object, from a reply's ``Content-Range``."""
    total = (content_range or "").rpartition("/")[2]
    return int(total) if total.isdigit() else size


def known_version(version_id: str | None) -> str | None:
    """A version id; None from a bucket that keeps no versions."""
    return None if version_id in (None, "", "null") else version_id


@lru_cache(maxsize=8)  # many replies bear the same second
def reply_time(date: str | None) -> datetime:
    """The server's clock in a ``Date`` header; a HEAD only for this would double the requests."""
    try:
        found = parsedate_to_datetime(date or "")
    except ValueError:
        return datetime.now(UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
