"""Ranges of one version of a file on a web server."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from trainset.errors import SourceChanged, TransientError
from trainset.stores.http_client import HttpClient, done_with, range_header, read, succeeded
from trainset.stores.http_errors import translated
from trainset.stores.http_file import facts_of, total_size
from trainset.stores.urls import Url, safe_url

# Versions that are not the bytes: none at all, one of a file that was read, a weak ETag.
_UNSURE = ("size-", "sha256-", "W/")


def ranges_of(
    client: HttpClient, url: Url, key: str, size: int, version: str
) -> Callable[[int, int], bytes] | None:
    """As ``HttpListStore.pinned_ranges``; asks for one byte to find out."""
    if version.startswith(_UNSURE):
        return None
    if client.call(url, partial(_range, client, url, key, size, version, 0, 1)) is None:
        return None

    def read_range(start: int, length: int) -> bytes:
        data = client.call(url, partial(_range, client, url, key, size, version, start, length))
        if data is None:  # it sent ranges before: another file by now, or another server
            raise SourceChanged(key)
        return data

    return read_range


def _range(
    client: HttpClient, url: Url, key: str, size: int, version: str, start: int, length: int
) -> bytes | None:
    """None when the server sends the whole file instead.

    Raises:
        SourceChanged: it is another version, or shorter.
    """
    place = safe_url(url.request)
    reply = client.send("GET", url, range_header(start, length))
    try:
        if reply.status == 416:
            raise SourceChanged(key)
        succeeded(reply, place)
        if reply.status == 200:
            return None
        total = total_size(reply.headers)
        if total != size or facts_of(reply.headers, size).version != version:
            raise SourceChanged(key)
        with translated(place):
            data = read(reply, length)
        if len(data) != length:
            raise TransientError(f"{place} ended at byte {start + len(data)}; run again")
        return data
    finally:
        done_with(reply)
