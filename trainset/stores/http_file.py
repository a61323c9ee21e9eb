"""One file on a web server: its size and version without its bytes, and its bytes as a stream."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import BinaryIO, NamedTuple

import urllib3

from trainset.errors import SourceChanged
from trainset.stores.http_client import (
    HttpClient,
    done_with,
    range_header,
    read,
    skip_to,
    succeeded,
)
from trainset.stores.http_errors import ABSENT, NoSize, refusal, translated
from trainset.stores.resume import resuming
from trainset.stores.urls import Url, safe_url

# A file whose length its server does not tell is read to find out, up to this size.
MEASURED_BYTES = 64 * 2**20
_NO_HEAD = (405, 501)
_UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)


class UrlFacts(NamedTuple):
    """What a server says of a file.

    ``version`` is the ETag, else Last-Modified in epoch seconds, else ``size-<bytes>`` (then a
    file that changes and keeps its length is not noticed), and of a file that had to be read its
    ``sha256-<hex>``. ``modified`` is 1970-01-01 when the server does not say.
    """

    size: int
    version: str
    modified: datetime


class HttpFiles:
    """Files behind URLs. Safe for threads."""

    def __init__(self, client: HttpClient) -> None:
        self.client = client
        self._no_head: set[str] = set()  # hosts that refuse HEAD for all files

    def look(self, url: Url) -> UrlFacts:
        """Size and version: by HEAD; by a range of one byte where a server refuses HEAD.

        Raises:
            NotFound, AccessDenied, TransientError, InputError.
            NoSize: the length is not told, and is more than ``MEASURED_BYTES``.
        """
        return self.client.call(url, partial(self._look, url))

    def open(self, url: Url, key: str) -> BinaryIO:
        """A stream that survives a broken connection, and raises SourceChanged when the file is
        another one by then, or its server names no version."""
        opener = _Opener(self.client, url, key)
        return resuming(opener.open_at, partial(self.client.call, url))

    def _look(self, url: Url) -> UrlFacts:
        place = safe_url(url.request)
        if url.host not in self._no_head:
            reply = self.client.send("HEAD", url, {})
            done_with(reply)
            # A length of 0 is often a server that makes up no body for HEAD.
            if reply.status == 200 and (size := _length(reply.headers)):
                return facts_of(reply.headers, size)
            if reply.status in _NO_HEAD:
                self._no_head.add(url.host)
            elif reply.status >= 500 or reply.status in (*ABSENT, 408, 425, 429):
                raise refusal(reply.status, reply.headers, place)
            # Else a range is tried: a URL signed for GET answers 403 to HEAD.
        reply = self.client.send("GET", url, range_header(0, 1))
        try:
            if reply.status == 416:
                size = total_size(reply.headers)
                return facts_of(reply.headers, 0 if size is None else size)
            succeeded(reply, place)
            total = total_size(reply.headers) if reply.status == 206 else _length(reply.headers)
            if total is not None:
                return facts_of(reply.headers, total)
        finally:
            done_with(reply)
        return self._measured(url, place)

    def _measured(self, url: Url, place: str) -> UrlFacts:
        reply = self.client.send("GET", url, {})
        try:
            succeeded(reply, place)
            digest, size = hashlib.sha256(), 0
            with translated(place):
                while data := read(reply, 2**20):
                    digest.update(data)
                    size += len(data)
                    if size > MEASURED_BYTES:
                        raise NoSize(
                            f"{place}: the server does not say how long it is, and it is longer "
                            f"than {MEASURED_BYTES} bytes; download it, and add its folder"
                        )
            return facts_of(reply.headers, size, f"sha256-{digest.hexdigest()}")
        finally:
            reply.close()


class _Opener:
    """Opens one file from any byte on, and sees to it that it stays the same version."""

    def __init__(self, client: HttpClient, url: Url, key: str) -> None:
        self._client, self._url, self._key = client, url, key
        self._place = safe_url(url.request)
        self._first: tuple[str, int | None] | None = None  # version and size

    def open_at(self, start: int) -> _HttpStream:
        headers = range_header(start, None)
        if start and self._first is not None and not self._first[0].startswith("W/"):
            headers["If-Range"] = self._first[0]
        reply = self._client.send("GET", self._url, headers)
        try:
            if start and reply.status == 416:
                raise SourceChanged(self._key)
            succeeded(reply, self._place)
            size = total_size(reply.headers) if reply.status == 206 else _length(reply.headers)
            seen = (_validator(reply.headers), size)
            if self._first is None:
                self._first = seen
            elif seen != self._first or not seen[0]:
                raise SourceChanged(self._key)
            with translated(self._place):
                skip_to(reply, start)
        except BaseException:
            reply.close()
            raise
        return _HttpStream(reply, size, self._place)


class _HttpStream:
    """The rest of a file, as ``resume.Stream``."""

    def __init__(self, reply: urllib3.BaseHTTPResponse, size: int | None, place: str) -> None:
        self.size = size
        self._reply, self._place = reply, place

    def read(self, size: int) -> bytes:
        with translated(self._place):
            return read(self._reply, size)

    def close(self) -> None:
        done_with(self._reply)


def facts_of(headers: Mapping[str, str], size: int, otherwise: str | None = None) -> UrlFacts:
    modified = _time(headers.get("Last-Modified", ""))
    tag = headers.get("ETag", "").strip()
    version = tag if tag.startswith("W/") else tag.strip('"')
    if not version and modified is not None:
        version = str(int(modified.timestamp()))
    return UrlFacts(size, version or otherwise or f"size-{size}", modified or _UNKNOWN_TIME)


def _validator(headers: Mapping[str, str]) -> str:
    """What ``If-Range`` takes: the ETag, else the date; "" when there is none."""
    return headers.get("ETag", "").strip() or headers.get("Last-Modified", "").strip()


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def total_size(headers: Mapping[str, str]) -> int | None:
    """The whole file's size in ``Content-Range``."""
    match = re.search(r"/(\d+)\s*$", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _time(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None
