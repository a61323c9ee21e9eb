"""Our authorizer signs what botocore's signs: the same requests, letter for letter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from trainset.stores import clock
from trainset.stores.s3_signer import choose_signer

NOW = datetime(2026, 11, 28, 9, 30, 15, tzinfo=UTC)
KEYS = Credentials("key", "secret")
SHA256 = "ab" * 32
REQUESTS: list[tuple[str, str, dict[str, str], bytes]] = [
    ("GET", "http://127.0.0.1:9000/bucket/a%20b/%C3%BC~x", {"Range": "bytes=0-9"}, b""),
    (
        "GET",
        "https://s3.us-west-004.backblazeb2.com/bucket?list-type=2&prefix=a%2Fb&delimiter=",
        {},
        b"",
    ),
    ("POST", "https://S3.example.com:443/bucket/k?uploads", {"x-amz-meta-b": "two  words "}, b""),
    ("HEAD", "http://[::1]:8080/bucket/k?versionId=b&a=1", {"If-Match": '"e"'}, b""),
    ("PUT", "http://s3.example.com:80/bucket?lifecycle", {"Content-MD5": "x=="}, b"<xml/>"),
    ("DELETE", "http://s3.example.com/bucket/k", {"User-Agent": "any", "Expect": "100"}, b""),
]


def signed(kind: Any, method: str, url: str, headers: dict[str, str], body: bytes) -> Any:
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    kind(KEYS, "s3", "us-west-004").add_auth(request)
    return request.headers


def ours(operation: str) -> Any:
    return botocore.auth.AUTH_TYPE_MAPS[choose_signer("s3v4", f"choose-signer.s3.{operation}")]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)
    monkeypatch.setattr(clock, "_wall", NOW.timestamp)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: f"{r[0]} {r[1]}")
def test_a_request_is_signed_as_botocore_signs_it(request_: Any) -> None:
    theirs = signed(botocore.auth.S3SigV4Auth, *request_)
    found = signed(ours("GetObject"), *request_)
    assert dict(found.items()) == dict(theirs.items())


def test_a_request_is_signed_anew_for_each_attempt() -> None:
    method, url, headers, body = REQUESTS[0]
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    for _ in range(2):
        ours("GetObject")(KEYS, "s3", "us-west-004").add_auth(request)
    assert dict(request.headers.items()) == dict(
        signed(botocore.auth.S3SigV4Auth, *REQUESTS[0]).items()
    )


def test_a_body_is_signed_with_the_hash_that_is_known() -> None:
    headers = {"x-amz-meta-sha256": SHA256}
    for operation, known in (("PutObject", True), ("CreateMultipartUpload", False)):
        found = signed(ours(operation), "PUT", "http://h/b/k", headers, b"hello")
        assert (found["X-Amz-Content-SHA256"] == SHA256) == known


def test_presigned_requests_keep_botocores_signer() -> None:
    assert choose_signer("s3v4-query", "choose-signer.s3.GetObject") is None
