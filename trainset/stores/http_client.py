"""Reading files from web servers: facts, ranges, and streams that stay with one version."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import urllib3

import trainset
from trainset.errors import InputError
from trainset.stores.http_errors import LONGEST_PAUSE_S, AskLater, refusal, translated
from trainset.stores.retry import Retrier
from trainset.stores.urls import Url, safe_url

T = TypeVar("T")
_MAX_REDIRECTS = 10
_SMALL = 64 * 2**10  # bytes of a reply that are read to keep its connection
_TIMEOUT = urllib3.Timeout(connect=10, read=60)  # seconds


def _patient() -> Retrier:
    return Retrier(attempts=4, cap_s=8.0, throttle_s=2 * LONGEST_PAUSE_S)


class HttpClient:
    """Sends requests to any host; each host has its retries and its pause. Safe for threads.

    No credentials of the home are known here: a host gets the user info of its own URL at most,
    and loses it when it redirects to another host. Proxies are the environment's.

    Args:
        retrier: makes the budget of one host.
    """

    def __init__(self, *, retrier: Callable[[], Retrier] = _patient) -> None:
        self._new_retrier = retrier
        self._retriers: dict[str, Retrier] = {}
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self._fixed = {
            "User-Agent": f"trainset/{trainset.__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",  # the bytes as they lie there, and their length
        }

    def retrier(self, host: str) -> Retrier:
        with self._lock:
            if host not in self._retriers:
                self._retriers[host] = self._new_retrier()
            return self._retriers[host]

    def call(self, url: Url, request: Callable[[], T]) -> T:
        """Run ``request`` with the retries of the URL's host."""
        try:
            return self.retrier(url.host).call(request)
        except AskLater as later:
            raise later.error from None

    def send(
        self, method: str, url: Url, headers: Mapping[str, str], *, body: bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        """One request; any status comes back, with its body not yet read.

        Redirects are followed, but not with a ``body``: it may hold a secret of the host.
        """
        target = url.request
        sent = {**self._fixed, **headers}
        if url.auth is not None:
            sent |= urllib3.make_headers(basic_auth=url.auth)
        for _ in range(_MAX_REDIRECTS + 1):
            with translated(safe_url(target)):
                reply = self._pool(target).request(
                    method,
                    target,
                    body=body,
                    headers=sent,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                    timeout=_TIMEOUT,
                )
                to = reply.get_redirect_location()
                if not to or body is not None:
                    return reply
                done_with(reply)
            there = urljoin(target, to)
            if urlsplit(there).scheme not in ("http", "https"):
                raise InputError(
                    f"{safe_url(target)} redirects to {safe_url(there)!r}; only http and https "
                    "are followed, mend the URL"
                )
            if urlsplit(there)[:2] != urlsplit(target)[:2]:
                sent.pop("authorization", None)
            target = there
        raise InputError(
            f"{safe_url(url.request)} redirects more than {_MAX_REDIRECTS} times; mend the URL"
        )

    def get(self, url: Url, start: int, length: int | None) -> bytes:
        """As ``ReadStore.get``."""
        wanted = None if length is None else max(length, 1)  # an empty range cannot be asked for
        return self.call(url, partial(self._get, url, start, wanted))[:length]

    def _get(self, url: Url, start: int, length: int | None) -> bytes:
        place = safe_url(url.request)
        reply = self.send("GET", url, range_header(start, length))
        try:
            if reply.status == 416:
                return b""  # starts after the end, as a file's read would say it
            succeeded(reply, place)
            with translated(place):
                skip_to(reply, start)
                return read(reply, length)
        finally:
            done_with(reply)

    def _pool(self, target: str) -> urllib3.PoolManager:
        parts = urlsplit(target)
        proxy = urllib.request.getproxies().get(parts.scheme, "")
        if proxy and urllib.request.proxy_bypass(parts.hostname or ""):
            proxy = ""
        with self._lock:
            if proxy not in self._pools:
                size: dict[str, Any] = {"num_pools": 64, "maxsize": 16}
                self._pools[proxy] = (
                    urllib3.ProxyManager(proxy, **size) if proxy else urllib3.PoolManager(**size)
                )
            return self._pools[proxy]


def range_header(start: int, length: int | None) -> dict[str, str]:
    if not start and length is None:
        return {}
    return {"Range": f"bytes={start}-" + ("" if length is None else str(start + length - 1))}


def succeeded(reply: urllib3.BaseHTTPResponse, place: str) -> None:
    """Raises the error for a reply that holds no bytes of the file."""
    if reply.status not in (200, 206):
        raise refusal(reply.status, reply.headers, place)


def skip_to(reply: urllib3.BaseHTTPResponse, start: int) -> None:
    """Go to byte ``start`` of the file in a reply to a range, which the server may not heed."""
    if reply.status == 200:
        while start > 0 and (data := reply.read(min(start, 2**20), decode_content=False)):
            start -= len(data)


def read(reply: urllib3.BaseHTTPResponse, size: int | None) -> bytes:
    """At most ``size`` bytes of the body; fewer only at its end."""
    return reply.read(size, decode_content=False)


def done_with(reply: urllib3.BaseHTTPResponse) -> None:
    """Keep the connection for the next request when little is left to read; else close it."""
    left = reply.length_remaining
    if left is not None and left <= _SMALL:
        reply.drain_conn()
    else:
        reply.close()
