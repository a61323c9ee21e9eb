"""Reads the media of an export ahead of the writer, and checks every byte against the manifest.

A medium that was adopted unread is hashed here: its sample names the sha256 of what was exported.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from trainset.errors import ChecksumMismatch, InputError, NotFound, VersionGone
from trainset.export.select import Item
from trainset.home import Home
from trainset.model import LeftOut

THREADS = 8  # hides a bucket's latency; one core hashes what they bring
WINDOW_BYTES = 256 * 2**20


def read_ahead(home: Home, items: Iterable[Item]) -> Iterator[tuple[Item, bytes | LeftOut]]:
    """Each item with its bytes, or with the reason why it has none, in the order of ``items``.

    The row of an item that has bytes has their sha256. At most ``WINDOW_BYTES`` and one medium lie
    in memory. TransientError is not caught: the export is tried again as a whole.
    """
    waiting: deque[tuple[Item, Future[tuple[bytes, str] | LeftOut]]] = deque()
    held = 0
    with ThreadPoolExecutor(THREADS, thread_name_prefix="export-read") as pool:
        try:
            for item in items:
                size = item.row["size"] or 0
                while waiting and (len(waiting) > 2 * THREADS or held + size > WINDOW_BYTES):
                    first, result = waiting.popleft()
                    held -= first.row["size"] or 0
                    yield _with_sha256(first, result.result())
                waiting.append((item, pool.submit(read_checked, home, item.row)))
                held += size
            while waiting:
                first, result = waiting.popleft()
                yield _with_sha256(first, result.result())
        finally:
            for _, result in waiting:
                result.cancel()


def _with_sha256(item: Item, read: tuple[bytes, str] | LeftOut) -> tuple[Item, bytes | LeftOut]:
    if isinstance(read, LeftOut):
        return item, read
    return replace(item, row={**item.row, "sha256": read[1]}), read[0]


def read_checked(home: Home, row: Mapping[str, Any]) -> tuple[bytes, str] | LeftOut:
    """Bytes and sha256 of one row of the media table, if they are what the manifest says."""
    key, uri = str(row["key"]), row["uri"]
    try:
        if uri is None:
            raise NotFound(f"{key!r} has no uri; run the transfer again")
        data = home.read_media(uri, row["version_id"])
    except VersionGone as err:
        return _left_out(key, "missing-bytes", str(err))
    except NotFound:
        return _left_out(
            key, "missing-bytes", f"{uri} is not there any more; run the transfer again"
        )
    except InputError as err:
        return _left_out(key, err.kind, str(err))
    found = hashlib.sha256(data).hexdigest()
    if row["sha256"] is not None and found != row["sha256"]:
        wrong = ChecksumMismatch(key, expected=row["sha256"], found=found)
        return _left_out(key, wrong.kind, str(wrong))
    return data, found


def _left_out(key: str, kind: str, reason: str) -> LeftOut:
    return LeftOut(key=key, stage="export", kind=kind, reason=reason)
