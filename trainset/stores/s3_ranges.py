"""A large object from a network source, part by part, without a local copy."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from trainset.errors import SourceChanged, UploadLost
from trainset.stores.base import ObjectInfo, PartLog
from trainset.stores.parts import MAX_PARTS, MIB, MIN_PART
from trainset.stores.s3_multipart import Multipart, begin_or_resume
from trainset.stores.s3_pool import stop

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

ReadRange = Callable[[int, int], bytes]  # (start, length) -> just these bytes

_PART = 16 * MIB
HELD_BYTES = 4 * _PART  # bytes of parts in memory; one part at least


def upload_ranges(
    store: S3Store,
    key: str,
    size: int,
    read_range: ReadRange,
    content_type: str | None,
    log: PartLog | None,
) -> tuple[ObjectInfo, str]:
    """As ``S3Store.put_ranges``; parts that the store has are read for the hash, and not sent."""
    part_size = _part_size(size, store.multipart_bytes)
    if size <= part_size:
        data = read_exactly(read_range, key, 0, size) if size else b""
        digest = hashlib.sha256(data).hexdigest()
        return store.put(key, data, sha256=digest, content_type=content_type), digest

    def there() -> ObjectInfo | None:
        info = store.head(key)
        return info if info is not None and info.size == size else None

    for anew in (False, True):
        upload = begin_or_resume(
            store,
            key,
            size=size,
            part_size=part_size,
            sha256=None,
            content_type=content_type,
            log=log,
        )
        try:
            digest = _send_ranges(store, key, upload, size, part_size, read_range)
            return upload.complete(there), digest
        except UploadLost:  # a lifecycle rule, say: once more from the start
            upload.forget()
            if anew:
                raise
        except SourceChanged:
            upload.take_back()
            raise
        except BaseException:
            if log is None:
                upload.take_back()
            raise
    raise AssertionError("unreachable")


def read_exactly(read_range: ReadRange, key: str, start: int, length: int) -> bytes:
    """One range. Raises SourceChanged when the source no longer has so many bytes."""
    data = read_range(start, length)
    if len(data) != length:
        raise SourceChanged(key)
    return data


def _part_size(size: int, multipart_bytes: int) -> int:
    least = -(-size // MAX_PARTS)
    return max(min(_PART, max(MIN_PART, multipart_bytes)), -(-least // MIB) * MIB)


def _send_ranges(
    store: S3Store, key: str, upload: Multipart, size: int, part_size: int, read_range: ReadRange
) -> str:
    """Read and send a few parts at once, hash them in order; the sha256 of the whole."""
    whole = hashlib.sha256()
    starts = deque(enumerate(range(0, size, part_size), 1))
    at_once = max(1, HELD_BYTES // part_size)
    window: deque[tuple[Future[bytes], Future[None]]] = deque()

    def carry(number: int, start: int, read: Future[bytes]) -> None:
        try:
            data = read_exactly(read_range, key, start, min(part_size, size - start))
        except BaseException as err:
            read.set_exception(err)
            return
        read.set_result(data)
        digest = hashlib.sha256(data).hexdigest()
        kept = upload.kept.get(number)
        if kept is None or (kept.sha256, kept.size) != (digest, len(data)):
            upload.send(number, data, len(data), digest)

    try:
        while starts or window:
            while starts and len(window) < at_once:
                read: Future[bytes] = Future()
                window.append((read, store.workers.submit(carry, *starts.popleft(), read)))
            read, sent = window.popleft()
            try:
                whole.update(read.result())
            finally:
                window.appendleft((read, sent))
            sent.result()
            window.popleft()
    finally:
        stop([sent for _, sent in window])
    return whole.hexdigest()
