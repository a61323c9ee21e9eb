"""Which sender a store uses, and what happens when the fast one turns out not to fit."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Literal, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from trainset.model import Credentials
from trainset.stores.endpoint import normal_endpoint
from trainset.stores.exchange import Redirected
from trainset.stores.s3_page import PAGE, Page
from trainset.stores.sender import Body, Download, Extra, Pace, Reply, Sender
from trainset.stores.sender_boto3 import Boto3Sender
from trainset.stores.sender_fast import FastSender

_log = logging.getLogger(__name__)


def make_sender(
    kind: Literal["auto", "fast", "boto3"],
    client: Callable[[], Any],
    credentials: Credentials,
    bucket: str,
    pace: Pace | None = None,
) -> Sender:
    """The sender that ``StoreOptions.sender`` asks for; no request is made.

    Args:
        client: makes or gives the store's boto3 client.
    """
    if kind == "boto3" or (kind == "auto" and not fast_fits(credentials.endpoint)):
        return Boto3Sender(client(), bucket, pace)
    fast = FastSender(credentials, bucket, pace)
    return FallbackSender(fast, lambda: Boto3Sender(client(), bucket, pace), bucket)


def fast_fits(endpoint: str) -> bool:
    """Whether requests go straight to a plain host: no proxy, no name and password in the url."""
    url = normal_endpoint(endpoint)
    parts = urlsplit(url)
    if not parts.hostname or {"@", "?", "#"} & set(url):
        return False
    return parts.scheme not in getproxies() or bool(proxy_bypass(parts.netloc))


class FallbackSender:
    """The fast sender until the store sends us elsewhere; then boto3's, which can follow."""

    def __init__(self, fast: FastSender, compatible: Callable[[], Sender], bucket: str) -> None:
        self._fast, self._now = fast, cast(Sender, fast)
        self._make, self._bucket = compatible, bucket
        self._lock = threading.Lock()

    def put_object(self, name: str, body: Body, sha256: str, extra: Extra) -> Reply:
        try:
            return self._now.put_object(name, body, sha256, extra)
        except Redirected as err:
            return self._other(err).put_object(name, body, sha256, extra)

    def upload_part(
        self, name: str, upload_id: str, number: int, body: Body, sha256: str, extra: Extra
    ) -> str:
        try:
            return self._now.upload_part(name, upload_id, number, body, sha256, extra)
        except Redirected as err:
            return self._other(err).upload_part(name, upload_id, number, body, sha256, extra)

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
        wanted: dict[str, Any] = {
            "start": start,
            "length": length,
            "etag": etag,
            "version_id": version_id,
        }
        try:
            return self._now.get_object(name, extra, **wanted)
        except Redirected as err:
            return self._other(err).get_object(name, extra, **wanted)

    def list_page(
        self, prefix: str, *, start_after: str = "", token: str | None = None, limit: int = PAGE
    ) -> Page:
        wanted: dict[str, Any] = {"start_after": start_after, "token": token, "limit": limit}
        try:
            return self._now.list_page(prefix, **wanted)
        except Redirected as err:
            return self._other(err).list_page(prefix, **wanted)

    def close(self) -> None:
        self._fast.close()
        if self._now is not self._fast:
            self._now.close()

    def _other(self, err: Redirected) -> Sender:
        with self._lock:
            if self._now is self._fast:
                self._now = self._make()
                _log.warning(
                    "bucket %s answers from %s: its bytes go through boto3 from now on",
                    self._bucket,
                    err.location,
                )
            return self._now
