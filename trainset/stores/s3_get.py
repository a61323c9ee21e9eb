"""Reading objects: whole, in ranges, as a stream, and large ones in several ranges at once."""

from __future__ import annotations

import io
import os
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from trainset.errors import InputError, TransientError
from trainset.stores.atomic import replacing, sweep
from trainset.stores.local_errors import translated as local_translated
from trainset.stores.retry import Retrier
from trainset.stores.s3_pool import finish
from trainset.stores.s3_reader import S3Reader
from trainset.stores.sender import BLOCK, Download

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

PARALLEL_BYTES = 64 * 2**20  # objects from this size on come in several ranges
RANGE_BYTES = 16 * 2**20
_READER_BYTES = 2**20  # read ahead of a stream
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


def fetch_object(store: S3Store, key: str, path: Path, durable: bool) -> None:
    """As ``ObjectStore.fetch_file``; a large object comes in ranges of one version (If-Match)."""
    with local_translated(f"{path} (from {store.uri(key)})"):
        sweep(path.parent)
        with replacing(path, durable=durable) as handle:
            total, etag = _fetch_first(store, key, handle)
            pending: list[Future[None]] = [
                store.workers.submit(_fetch_range, store, key, handle, start, total, etag)
                for start in range(PARALLEL_BYTES, total, RANGE_BYTES)
            ]
            finish(pending)


def _fetch_first(store: S3Store, key: str, handle: BinaryIO) -> tuple[int, str]:
    """Bring all of a small object, or the first piece of a large one; the whole's size and ETag."""
    name = store.full_key(key)

    def fetch() -> tuple[int, str]:
        reply = store.sender.get_object(name, store.protector.read(), length=PARALLEL_BYTES)
        _write(reply, handle, 0, min(PARALLEL_BYTES, reply.total))
        return reply.total, reply.etag

    try:
        return store.request("get", key, fetch)
    except InputError as err:
        if "InvalidRange" in str(err):
            return 0, ""  # an empty object has no first byte
        raise


def _fetch_range(
    store: S3Store, key: str, handle: BinaryIO, start: int, total: int, etag: str
) -> None:
    size = min(RANGE_BYTES, total - start)

    def fetch() -> None:
        reply = store.sender.get_object(
            store.full_key(key), store.protector.read(), start=start, length=size, etag=etag
        )
        _write(reply, handle, start, size)

    store.request("get", key, fetch)


def _write(reply: Download, handle: BinaryIO, start: int, size: int) -> None:
    """Write a reply of ``size`` bytes at ``start``; threads share the file."""
    descriptor, at = handle.fileno(), start
    block = _block()
    try:
        while got := reply.readinto(block):
            view = block[:got]
            while view:
                written = os.pwrite(descriptor, view, at)
                at, view = at + written, view[written:]
    finally:
        reply.close()
    if at - start != size:
        raise TransientError(f"{at - start} bytes came, {size} were asked for; run again")


def _block() -> memoryview:
    """A buffer of this thread: a new one for each read would cost a page fault a page."""
    block: memoryview | None = getattr(_buffers, "block", None)
    if block is None:
        block = _buffers.block = memoryview(bytearray(BLOCK))
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
