"""The two senders: one contract, the same requests."""

from __future__ import annotations

import hashlib
import os
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.recording import Recorded, Recording
from services.s3_endpoint import S3Bucket

from trainset.errors import (
    NotSupported,
    SourceChanged,
    TransientError,
)
from trainset.model import StoreOptions
from trainset.stores.retry import Retrier
from trainset.stores.s3 import S3Store
from trainset.stores.s3_client import make_client
from trainset.stores.sender import BLOCK, Piece, Sender
from trainset.stores.sender_boto3 import Boto3Sender
from trainset.stores.sender_choice import fast_fits
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
            recording.body = NO_OBJECTS
            sender.list_page(name)
            sender.list_page(name, start_after=f"{name}/a", token="t+/=", limit=7)
    half = len(recording.requests) // 2
    fast, boto3 = recording.requests[:half], recording.requests[half:]
    assert half == 7
    for ours, theirs in zip(fast, boto3, strict=True):
        assert comparable(ours) == comparable(theirs)
        assert ours.headers["authorization"].split(",")[0].startswith("AWS4-HMAC-SHA256 Credential")


TORN = b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>"
LOST = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
NO_OBJECTS = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


def test_both_see_the_same_objects(s3_bucket: S3Bucket) -> None:
    names = ["a", "a b+c%20&<", "b/~'(x)*=#?;", "b/\u65e5\u672c \x01", "c"]
    stores = {kind: s3_bucket.store("p", options=StoreOptions(sender=kind)) for kind in KINDS}
    for name in names:
        stores["fast"].put(name, name.encode())
    seen = {}
    for kind, store in stores.items():
        first = store.sender.list_page("p/", limit=3)
        rest = store.sender.list_page("p/", token=first.token)
        assert (len(first.items), rest.token) == (3, None)
        seen[kind] = [*first.items, *rest.items]
        assert list(store.sender.list_page("p/", start_after="p/b").items) == seen[kind][2:]
    assert seen["fast"] == seen["boto3"]
    assert [(i.name, i.size) for i in seen["fast"]] == [(f"p/{n}", len(n.encode())) for n in names]


@pytest.mark.parametrize("text", [b"", b"<ListBucketResult><Conte", b"<html></html>", TORN, LOST])
def test_what_is_no_whole_listing_is_asked_for_again(recording: Recording, text: bytes) -> None:
    options, retrier = StoreOptions(sender="fast"), Retrier(attempts=2, base_s=0.001)
    store = S3Store("bucket", "", recording.credentials, options=options, retrier=retrier)
    recording.body = text
    with pytest.raises(TransientError):
        list(store.list())
    assert len(recording.requests) == 2
    recording.body = NO_OBJECTS
    assert list(store.list()) == []


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
    assert (sum(told), max(told)) == (MIB + 1, BLOCK)
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
