"""``ObjectStore``: keys to bytes, under one root. Media sources and homes are both object stores.

Contract (tests/stores/test_contract.py runs over every implementation):

- Keys are relative, ``/``-separated, never start with ``/`` and never contain ``..``.
- ``put`` is atomic: a reader sees the old bytes, the new bytes, or nothing.
- ``list`` yields keys in ascending order of their UTF-8 bytes, in constant memory.
- Vendor errors arrive as ``trainset.errors``; a missing key is ``NotFound``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from trainset.errors import StoreReply
from trainset.model import Frozen


class ObjectInfo(Frozen):
    """One object as a listing or a HEAD shows it.

    ``version`` identifies the bytes as far as the store can without reading them: the ETag on S3,
    ``<mtime_ns>`` in a folder. ``version_id`` is the store's own version name, if it keeps any.
    """

    key: str
    size: int
    version: str
    version_id: str | None = None
    modified: datetime
    sha256: str | None = None  # only when the store was told at put
    retention_until: datetime | None = None  # of an object that was just made, and locked
    reply: StoreReply | None = None  # to the request that just made it


class Upload(Frozen):
    """A multipart upload under way; every part but the last has ``part_bytes`` bytes."""

    upload_id: str
    size: int
    part_bytes: int
    sha256: str | None = None  # of the whole; None: known only when all is read


class Part(Frozen):
    """One part that the store has confirmed; numbers start at 1."""

    number: int
    size: int
    etag: str
    sha256: str


class PartLog(Protocol):
    """Remembers unfinished uploads by object uri, so that another process can go on with them.

    Every method is durable when it returns.
    """

    def find(self, uri: str) -> Upload | None: ...
    def begin(self, uri: str, upload: Upload) -> None: ...
    def note(self, uri: str, part: Part) -> None: ...
    def parts(self, uri: str) -> list[Part]: ...
    def end(self, uri: str) -> None: ...


class ReadStore(Protocol):
    """What a source of media must offer; every ``ObjectStore`` is one too."""

    url: str

    def uri(self, key: str) -> str: ...
    def head(self, key: str) -> ObjectInfo | None: ...
    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes: ...
    def open(self, key: str) -> BinaryIO: ...
    def fetch_file(self, key: str, path: Path, *, durable: bool = True) -> None: ...
    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]: ...
    def local_path(self, key: str) -> Path | None: ...


class ObjectStore(Protocol):
    """Bytes under keys, below ``url``."""

    url: str

    def uri(self, key: str) -> str:
        """The absolute uri of ``key``: a plain path in a folder, ``s3://bucket/…`` in a bucket."""
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """Facts of one object, or None when there is none."""
        ...

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """The bytes of one object, or of a range of it. Raises NotFound."""
        ...

    def open(self, key: str) -> BinaryIO:
        """A sequential reader of one object; close it. Raises NotFound."""
        ...

    def put(
        self, key: str, data: bytes, *, sha256: str | None = None, content_type: str | None = None
    ) -> ObjectInfo:
        """Store ``data``. With ``sha256`` (hex) the store, or we on its reply, check the bytes.

        Raises ChecksumMismatch when they differ. Durable (fsync) when it returns.
        """
        ...

    def put_file(
        self,
        key: str,
        path: Path,
        *,
        sha256: str | None = None,
        content_type: str | None = None,
        part_hashes: Sequence[str] = (),
        parts: PartLog | None = None,
    ) -> ObjectInfo:
        """Store a local file of any size without holding it in memory; else as ``put``.

        Args:
            part_hashes: sha256 of each piece of ``stores.parts.part_bytes(size)`` bytes, where the
                caller knows them: then nothing is hashed again on the way, the store checks.
            parts: where an upload in parts is remembered; None: it starts anew after a crash.
        """
        ...

    def fetch_file(
        self, key: str, path: Path, *, sha256: str | None = None, durable: bool = True
    ) -> None:
        """Bring one object into a local file, atomically.

        Args:
            sha256: what the bytes must be; they are hashed as they come.
            durable: it outlives a power cut; False for scratch files, which then cost no fsync.
        Raises:
            NotFound.
            ChecksumMismatch: the object holds other bytes; ``path`` is as it was.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove one object; no error when it is not there."""
        ...

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """Objects whose key starts with ``prefix``, ascending, after ``start_after``."""
        ...

    def storage_options(self) -> dict[str, str]:
        """What Lance needs to reach this store; empty for a folder. Holds secrets: never log it."""
        ...

    def local_path(self, key: str) -> Path | None:
        """The path of ``key`` when this store is a local folder, else None."""
        ...
