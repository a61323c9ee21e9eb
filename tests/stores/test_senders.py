"""The two senders: one contract, the same requests, the same objects."""

from __future__ import annotations

import hashlib
import logging
import os
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from services.b2_strict import Faults
from services.recording import Recorded, Recording
from services.s3_endpoint import S3Bucket

from trainset.errors import (
    ChecksumMismatch,
    NotFound,
    NotSupported,
    SourceChanged,
    Throttled,
    TransientError,
)
from trainset.model import StoreOptions
from trainset.stores.retry import Retrier
from trainset.stores.s3 import S3Store
from trainset.stores.s3_client import make_client
from trainset.stores.sender import Piece, Sender
from trainset.stores.sender_boto3 import Boto3Sender
from trainset.stores.sender_choice import fast_fits, make_sender
from trainset.stores.sender_fast import FastSender

MIB = 2**20
KINDS = ["fast", "boto3"]
# Of one request alone: when it was sent, by whom, and what follows from that.
OF_THE_SENDER = {
    "authorization",
    "x-amz-date",
    "user-agent",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "connection",
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def recording() -> Iterator[Recording]:
    server = Recording()
    yield server
    server.stop()


def senders(server: Recording, pace: Any = None) -> dict[str, Sender]:
    keys = server.credentials
    return {
        "fast": FastSender(keys, "bucket", pace),
        "boto3": Boto3Sender(make_client(keys), "bucket", pace),
    }


def comparable(request: Recorded) -> Recorded:
    headers = {k: v for k, v in request.headers.items() if k not in OF_THE_SENDER}
    return request._replace(headers=headers)


EXTRA = {
    "Metadata": {"sha256": "ab" * 32, "Note": "a  b"},
    "ContentType": "image/jpeg",
    "ContentMD5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "ObjectLockMode": "GOVERNANCE",
    "ObjectLockRetainUntilDate": "2030-01-02T03:04:05Z",
    "ObjectLockLegalHoldStatus": "ON",
    "ServerSideEncryption": "AES256",
}
CUSTOMER = {
    "SSECustomerAlgorithm": "AES256",
    "SSECustomerKey": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "SSECustomerKeyMD5": "hRasmdxgYDKV3nvbahU1MA==",
}


@pytest.mark.parametrize("name", ["a/b.jpg", "a b+c%20/ü/日本/~'(x)*&=#?;.bin", "./a/../b//c"])
@pytest.mark.parametrize("body", [b"", b"hello", "piece"])
def test_both_send_the_same_requests(
    recording: Recording, tmp_path: Path, name: str, body: bytes | str
) -> None:
    (tmp_path / "f").write_bytes(os.urandom(2 * MIB + 7))
    with open(tmp_path / "f", "rb") as handle:
        data = Piece(handle, 3, MIB + 1) if isinstance(body, str) else body
        for sender in senders(recording).values():
            recording.body = b""
            sender.put_object(name, data, "cd" * 32, EXTRA)
            sender.upload_part(name, "2~a+/=&", 7, data, "ef" * 32, CUSTOMER)
            recording.body = b"x"
            sender.get_object(name, {}).close()
            recording.headers["Content-Range"] = "bytes 5-5/6"
            sender.get_object(
                name, CUSTOMER, start=5, length=10, etag="tag", version_id="v/+ 1"
            ).close()
            sender.get_object(name, {}, start=5).close()
    half = len(recording.requests) // 2
    fast, boto3 = recording.requests[:half], recording.requests[half:]
    assert half == 5
    for ours, theirs in zip(fast, boto3, strict=True):
        assert comparable(ours) == comparable(theirs)
        assert ours.headers["authorization"].split(",")[0].startswith("AWS4-HMAC-SHA256 Credential")


@pytest.mark.parametrize("kind", KINDS)
def test_what_paces_a_sender_hears_of_every_byte(
    recording: Recording, tmp_path: Path, kind: str
) -> None:
    told: list[int] = []
    sender = senders(recording, told.append)[kind]
    (tmp_path / "f").write_bytes(os.urandom(3 * MIB))
    with open(tmp_path / "f", "rb") as handle:
        sender.put_object("a", Piece(handle, MIB, 2 * MIB - 5), "0" * 64, {})
    assert sum(told) == 2 * MIB - 5
    assert max(told) <= MIB
    told.clear()
    sender.put_object("a", b"x" * (MIB + 1), "0" * 64, {})
    assert told == [MIB, 1]
    told.clear()
    recording.body = b"y" * 1000
    reply = sender.get_object("a", {})
    assert reply.read(600) + reply.read(600) == b"y" * 1000
    assert sum(told) == 1000


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_shrank_is_a_changed_source(
    recording: Recording, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "f").write_bytes(b"x" * 10)
    with open(tmp_path / "f", "rb") as handle, pytest.raises(SourceChanged):
        senders(recording)[kind].put_object("a", Piece(handle, 0, 11), "0" * 64, {})


def test_a_connection_that_the_server_closed_is_replaced_unseen(recording: Recording) -> None:
    sender = FastSender(recording.credentials, "bucket")
    recording.close_after = True
    for number in range(5):
        sender.put_object(f"{number}", b"x", sha256(b"x"), {})
        (idle,) = sender._pool._idle
        assert select.select([idle.sock], [], [], 10)[0]  # the server's end has come
    assert [r.path for r in recording.requests] == [f"/bucket/{n}" for n in range(5)]


def test_connections_are_reused(s3_bucket: S3Bucket) -> None:
    sender = FastSender(s3_bucket.endpoint.credentials, s3_bucket.name)
    made = 0
    connect = sender._pool._connect

    def counted() -> Any:
        nonlocal made
        made += 1
        return connect()

    sender._pool._connect = counted  # type: ignore[method-assign]
    for number in range(10):
        sender.put_object(f"{number}", b"x", sha256(b"x"), {})
        reply = sender.get_object(f"{number}", {})
        assert reply.read(10) == b"x"
        reply.close()
        with pytest.raises(ClientError):
            sender.get_object("none", {})
    assert made == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_reply_that_ends_early_is_no_object(recording: Recording, kind: str) -> None:
    options = StoreOptions(sender=kind)  # type: ignore[arg-type]
    retrier = Retrier(attempts=2, base_s=0.001)
    store = S3Store("bucket", "", recording.credentials, options=options, retrier=retrier)
    recording.body, recording.missing = b"x" * 1000, 1
    with pytest.raises(TransientError):
        store.get("a")
    recording.missing = 0
    assert store.get("a") == b"x" * 1000


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_ignores_ranges_is_not_believed(recording: Recording, kind: str) -> None:
    recording.body = b"0123456789"
    with pytest.raises(NotSupported, match="from 3 on"):
        senders(recording)[kind].get_object("a", {}, start=3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_put_says_what_the_reply_said(recording: Recording, kind: str) -> None:
    recording.headers |= {"x-amz-version-id": "null"}
    reply = senders(recording)[kind].put_object("a", b"y", sha256(b"y"), {})
    assert (reply.etag, reply.version_id) == ("e", None)
    assert reply.modified.tzinfo is not None


def test_a_redirect_sends_all_that_follows_through_boto3(
    recording: Recording, s3_bucket: S3Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    recording.status, recording.headers = 307, {"Location": "http://elsewhere"}
    keys = s3_bucket.endpoint.credentials
    sender = make_sender("auto", make_client(keys), keys, s3_bucket.name)
    sender._fast = FastSender(recording.credentials, s3_bucket.name)  # type: ignore[attr-defined]
    sender._now = sender._fast  # type: ignore[attr-defined]
    with caplog.at_level(logging.WARNING):
        for name in ("a", "b"):
            sender.put_object(name, b"hello", sha256(b"hello"), {})
    assert sender.get_object("a", {}).read(9) == b"hello"
    assert len(recording.requests) == 1
    assert len(caplog.records) == 1
    assert "http://elsewhere" in caplog.text


def test_fast_fits_plain_hosts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert fast_fits("https://s3.us-west-004.backblazeb2.com")
    assert not fast_fits("https://user:word@host")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert not fast_fits("https://s3.us-west-004.backblazeb2.com")
    assert fast_fits("http://s3.local:9000")
    monkeypatch.setenv("NO_PROXY", "backblazeb2.com")
    assert fast_fits("https://s3.us-west-004.backblazeb2.com")


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, s3_bucket: S3Bucket) -> S3Store:
    return s3_bucket.store(multipart_bytes=5 * MIB, options=StoreOptions(sender=request.param))


def test_both_make_the_same_objects(s3_bucket: S3Bucket, tmp_path: Path) -> None:
    data = os.urandom(11 * MIB)
    (tmp_path / "f").write_bytes(data)
    seen = []
    for kind in KINDS:
        options = StoreOptions(sender=kind)  # type: ignore[arg-type]
        store = s3_bucket.store(kind, multipart_bytes=5 * MIB, options=options)
        store.put("small", b"hello", content_type="text/plain")
        store.put_file("large", tmp_path / "f", sha256=sha256(data), content_type="video/mp4")
        heads = [store.named("head_object", key) for key in ("small", "large")]
        seen.append([(h["ETag"], h["Metadata"], h["ContentType"]) for h in heads])
        assert store.get("small") == b"hello"
        assert store.get("large") == data
    assert seen[0] == seen[1]


def test_other_bytes_than_signed_are_refused_by_the_server(store: S3Store, tmp_path: Path) -> None:
    assert store.checks_sha256
    with pytest.raises(ChecksumMismatch) as caught:
        store.put("a", b"hello", sha256=sha256(b"other"))
    assert (caught.value.expected, caught.value.found) == (sha256(b"other"), sha256(b"hello"))
    data = os.urandom(6 * MIB)
    (tmp_path / "f").write_bytes(data)
    hashes = [sha256(data[: 5 * MIB]), sha256(b"other")]
    with pytest.raises(ChecksumMismatch):
        store.put_file("b", tmp_path / "f", sha256=sha256(data), part_hashes=hashes)
    assert list(store.list()) == []


def test_a_refusal_keeps_its_retry_after(store: S3Store, s3_bucket: S3Bucket) -> None:
    store._retrier.throttle_s = 0
    s3_bucket.proxy.faults = Faults(slow_down=1, retry_after="0.3", limit=1)
    with pytest.raises(Throttled) as caught:
        store.get("a")
    assert caught.value.retry_after_s == 0.3
    with pytest.raises(NotFound, match="'a'"):
        store.get("a")


def test_faults_lose_and_double_nothing(store: S3Store, s3_bucket: S3Bucket) -> None:
    s3_bucket.proxy.faults = Faults(
        slow_down=0.1, retry_after="0", reset=0.1, lost_reply=0.1, internal_error=0.05, flip=0.05
    )
    bodies = {f"{n}": os.urandom(2000) for n in range(40)}
    for key, body in bodies.items():
        try:
            store.put(key, body, sha256=sha256(body))
        except ChecksumMismatch:  # a bit flipped on the way
            store.put(key, body, sha256=sha256(body))
    assert {key: store.get(key) for key in bodies} == bodies
    s3_bucket.proxy.faults = Faults()
    assert len(list(store.iter_versions())) == len(bodies)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=50), st.lists(st.integers(0, 60), max_size=6))
def test_a_body_reads_as_its_bytes_do(data: bytes, sizes: list[int]) -> None:
    from trainset.stores.sender_boto3 import _Stream

    stream = _Stream(data, "0" * 64, None)
    at = 0
    for size in sizes:
        assert stream.read(size) == data[at : at + size]
        at = min(len(data), at + size)
        assert stream.tell() == at
    stream.seek(0)
    assert stream.read() == data
