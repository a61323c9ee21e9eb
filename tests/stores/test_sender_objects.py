"""The two senders against a real store: the same objects, and nothing lost or doubled."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from services.b2_strict import Faults
from services.recording import Recording
from services.s3_endpoint import S3Bucket

from trainset.errors import ChecksumMismatch, NotFound, Throttled
from trainset.model import StoreOptions
from trainset.stores.exchange import Refused
from trainset.stores.s3 import S3Store
from trainset.stores.s3_client import make_client
from trainset.stores.sender_choice import make_sender
from trainset.stores.sender_fast import FastSender

MIB = 2**20
KINDS = ["fast", "boto3"]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def elsewhere() -> Iterator[Recording]:
    server = Recording(status=307, headers={"Location": "http://elsewhere"})
    yield server
    server.stop()


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
        with pytest.raises(Refused):
            sender.get_object("none", {})
    assert made == 1


def test_a_redirect_sends_all_that_follows_through_boto3(
    elsewhere: Recording, s3_bucket: S3Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    keys = s3_bucket.endpoint.credentials
    sender = make_sender("auto", lambda: make_client(keys), keys, s3_bucket.name)
    sender._fast = FastSender(elsewhere.credentials, s3_bucket.name)  # type: ignore[attr-defined]
    sender._now = sender._fast  # type: ignore[attr-defined]
    with caplog.at_level(logging.WARNING):
        for name in ("a", "b"):
            sender.put_object(name, b"hello", sha256(b"hello"), {})
    assert sender.get_object("a", {}).read(9) == b"hello"
    assert len(elsewhere.requests) == 1
    assert len(caplog.records) == 1
    assert "http://elsewhere" in caplog.text
