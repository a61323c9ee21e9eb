"""Reading objects: whole, in ranges, as a stream, and large ones in several ranges at once."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from trainset.errors import ChecksumMismatch, InputError, TransientError
from trainset.stores.atomic import replacing, sweep
from trainset.stores.local_errors import translated as local_translated
from trainset.stores.retry import Retrier
from trainset.stores.s3_pool import stop
from trainset.stores.s3_reader import S3Reader
from trainset.stores.sender import Download

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

    from trainset.stores.s3 import S3Store

PARALLEL_BYTES = 64 * 2**20  # objects from this size on come in several ranges
RANGE_BYTES = 16 * 2**20
STREAMS = 4  # objects under way at once that fill a line without ranges
_READER_BYTES = 2**20  # read ahead of a stream
# Written at once: Linux gives a larger write large pages, which a virtual machine may have to ask
# its host for first: with 256 KiB the system took up to twice the time for a file.
_BLOCK = 2**16
_buffers = threading.local()  # .block: where this thread's replies come in


def get_bytes(
    store: S3Store, key: str, start: int, length: int | None, version_id: str | None
) -> bytes:
    """As ``ObjectStore.get``."""
    # A range has one byte at least: an empty one is asked for as one byte, and cut.
    wanted = None if length is None else max(length, 1)

    def read() -> bytes:
        reply = store.sender.get_object(
            store.full_key(key),
            store.protector.read(),
            start=start,
            length=wanted,
            version_id=version_id,
        )
        return _all_of(reply)

    try:
        data = store.request("get", key, read)
    except InputError as err:
        if "InvalidRange" in str(err):
            return b""  # starts after the end, as a file's read would say it
        raise
    return data[:length]


def open_object(store: S3Store, retrier: Retrier, key: str, version_id: str | None) -> BinaryIO:
    """As ``ObjectStore.open``."""

    def open_at(start: int, etag: str | None) -> Download:
        with store.errors("get", key):
            return store.sender.get_object(
                store.full_key(key),
                store.protector.read(),
                start=start,
                etag=etag,
                version_id=version_id,
            )

    def read(reply: Download, size: int) -> bytes:
        with store.errors("get", key):
            return reply.read(size)

    return cast(BinaryIO, io.BufferedReader(S3Reader(open_at, read, retrier), _READER_BYTES))


def fetch_object(store: S3Store, key: str, path: Path, durable: bool, sha256: str | None) -> None:
    """As ``ObjectStore.fetch_file``; large objects come in pieces of one version (If-Match)."""
    with local_translated(f"{path} (from {store.uri(key)})"):
        sweep(path.parent)
        with replacing(path, durable=durable) as handle, store.workers.file():
            fetch = _Fetch(store, key, handle, None if sha256 is None else hashlib.sha256())
            fetch.run()
            if fetch.digest is not None and (found := fetch.digest.hexdigest()) != sha256:
                raise ChecksumMismatch(key, expected=str(sha256), found=found)


class _Fetch:
    """One object on its way into a file.

    A lone large object comes in several ranges at once, and is hashed behind them. Where enough
    other objects are under way each comes in one stream, and its bytes are hashed while they are
    still in the CPU's cache.
    """

    def __init__(self, store: S3Store, key: str, handle: BinaryIO, digest: Hash | None) -> None:
        self._store, self._key, self._handle, self.digest = store, key, handle, digest
        self._name = store.full_key(key)

    def run(self) -> None:
        total, etag = self._first()
        at = min(total, PARALLEL_BYTES)
        while at < total and self._store.workers.files >= STREAMS:
            at += self._piece(at, min(PARALLEL_BYTES, total - at), etag, True)
        ranges = [
            (start, min(RANGE_BYTES, total - start)) for start in range(at, total, RANGE_BYTES)
        ]
        jobs = [
            self._store.workers.submit(self._piece, start, size, etag, False)
            for start, size in ranges
        ]
        try:
            with open(self._handle.name, "rb", 0) as written:
                for job, (start, size) in zip(jobs, ranges, strict=True):
                    job.result()
                    if self.digest is not None:
                        _hash_again(self.digest, written, start, size)
        finally:
            stop(jobs)

    def _first(self) -> tuple[int, str]:
        """Bring a small object, or the first piece of a large one; the whole's size and ETag."""

        def fetch() -> tuple[int, str]:
            reply = self._get(0, PARALLEL_BYTES, None)
            self._take(reply, 0, min(PARALLEL_BYTES, reply.total), hashed=True)
            return reply.total, reply.etag

        try:
            return self._store.request("get", self._key, fetch)
        except InputError as err:
            if "InvalidRange" in str(err):
                return 0, ""  # an empty object has no first byte
            raise

    def _piece(self, start: int, size: int, etag: str, hashed: bool) -> int:
        def fetch() -> None:
            self._take(self._get(start, size, etag), start, size, hashed=hashed)

        self._store.request("get", self._key, fetch)
        return size

    def _get(self, start: int, length: int, etag: str | None) -> Download:
        extra = self._store.protector.read()
        return self._store.sender.get_object(
            self._name, extra, start=start, length=length, etag=etag
        )

    def _take(self, reply: Download, start: int, size: int, *, hashed: bool) -> None:
        """Write a reply, and hash it if asked; a broken one leaves the digest as it was."""
        digest = self.digest.copy() if hashed and self.digest is not None else None
        _write(reply, self._handle, start, size, digest)
        if digest is not None:
            self.digest = digest


def _write(reply: Download, handle: BinaryIO, start: int, size: int, digest: Hash | None) -> None:
    """Write a reply of ``size`` bytes at ``start``; threads share the file."""
    descriptor, at = handle.fileno(), start
    block = _block()
    try:
        while got := reply.readinto(block):
            view = block[:got]
            if digest is not None:
                digest.update(view)
            while view:
                written = os.pwrite(descriptor, view, at)
                at, view = at + written, view[written:]
    finally:
        reply.close()
    if at - start != size:
        raise TransientError(f"{at - start} bytes came, {size} were asked for; run again")


def _hash_again(digest: Hash, handle: BinaryIO, start: int, size: int) -> None:
    """Hash what was written out of its turn."""
    block, end = _block(), start + size
    while start < end:
        got = os.preadv(handle.fileno(), [block[: end - start]], start)
        digest.update(block[:got])
        start += got


def _block() -> memoryview:
    """A buffer of this thread: a new one for each read would cost a page fault a page."""
    block: memoryview | None = getattr(_buffers, "block", None)
    if block is None:
        block = _buffers.block = memoryview(bytearray(_BLOCK))
    return block


def _all_of(reply: Download) -> bytes:
    try:
        blocks = []
        while block := reply.read(reply.size or 1):
            blocks.append(block)
    finally:
        reply.close()
    data = blocks[0] if len(blocks) == 1 else b"".join(blocks)
    if len(data) != reply.size:
        raise TransientError(f"{len(data)} bytes came, {reply.size} were announced; run again")
    return data
