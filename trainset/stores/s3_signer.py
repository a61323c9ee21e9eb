"""How our boto3 clients sign: by ``sigv4.Signer``, at the server's time, with hashes we know.

botocore derives the day's key and walks its header maps several times for every request, which is
a sixth of the CPU of a small GET. Its seam for other signers is ``AUTH_TYPE_MAPS``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import botocore.auth

from trainset.stores.clock import clock_of
from trainset.stores.endpoint import host_header
from trainset.stores.sigv4 import Signer

_SHA256_HEADER = "x-amz-meta-sha256"
_SIGNER, _BODY_SIGNER = "trainset-s3v4", "trainset-s3v4-body"
_WITH_BODY = ("PutObject", "UploadPart")
_OURS = ("X-Amz-Date", "X-Amz-Content-SHA256", "Authorization")
_UNSIGNED = frozenset(botocore.auth.SIGNED_HEADERS_BLACKLIST)


def choose_signer(signature_version: str, event_name: str, **_: Any) -> str | None:
    """Handler of botocore's ``choose-signer.s3``."""
    if signature_version != "s3v4":
        return None  # presigned requests keep theirs
    return _BODY_SIGNER if event_name.rpartition(".")[2] in _WITH_BODY else _SIGNER


class _ServerTimeAuth:
    """SigV4 by the clock of the server (``clock.ServerClock``), as botocore calls an authorizer."""

    REQUIRES_REGION, REQUIRES_TOKEN = True, False  # botocore asks

    def __init__(self, credentials: Any, service_name: str, region_name: str) -> None:
        self._keys, self._region = credentials, region_name
        self._theirs = botocore.auth.S3SigV4Auth(credentials, service_name, region_name)

    def payload(self, request: Any) -> Any:
        """What stands for the body in the signature: its sha256, or a word."""
        return self._theirs.payload(request)

    def add_auth(self, request: Any) -> None:
        parts, headers = urlsplit(request.url), request.headers
        for name in _OURS:  # of an attempt before
            del headers[name]
        wanted = {name.lower(): _text(value) for name, value in headers.items()}
        wanted = {name: value for name, value in wanted.items() if name not in _UNSIGNED}
        wanted["host"] = host_header(parts)
        signer = _signer(self._keys.access_key, self._keys.secret_key, self._region)
        signed = signer.signed(
            request.method.upper(),
            parts.path,
            self._theirs.canonical_query_string(request),
            wanted,
            self.payload(request),
            now=clock_of(f"{parts.scheme}://{parts.netloc}").now(),
        )
        for name in _OURS:
            headers[name] = signed[name.lower()]


class _KnownHashAuth(_ServerTimeAuth):
    """SigV4 that signs a body with the sha256 that it or its metadata says: not hashed twice.

    The server compares the signed hash with the bytes that arrive: this is the transfer's check.
    """

    def payload(self, request: Any) -> Any:
        known = getattr(request.data, "known_sha256", None) or request.headers.get(_SHA256_HEADER)
        return known or super().payload(request)


botocore.auth.AUTH_TYPE_MAPS[_SIGNER] = _ServerTimeAuth
botocore.auth.AUTH_TYPE_MAPS[_BODY_SIGNER] = _KnownHashAuth


@lru_cache(maxsize=16)
def _signer(key_id: str, secret: str, region: str) -> Signer:
    """botocore makes an authorizer for each request; the day's key outlives it."""
    return Signer(key_id, secret, region)


def _text(value: str | bytes) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else value
