"""Locks, encryption and metadata: what is asked of the store, and what the store then does."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from services.recording import Recorded, Recording
from services.s3_endpoint import S3Bucket, S3Endpoint

from trainset.errors import AccessDenied, InputError, TransientError
from trainset.model import Protection, StoreOptions
from trainset.stores.base import ObjectInfo
from trainset.stores.retry import Retrier
from trainset.stores.s3 import S3Store
from trainset.stores.s3_protect import check_metadata

MIB = 2**20
KEY = bytes(range(32))


@pytest.fixture
def locking(s3_endpoint: S3Endpoint) -> S3Bucket:
    if s3_endpoint.kind != "ceph":
        pytest.skip("moto refuses no deletion")
    return s3_endpoint.new_bucket(locks=True)


def options(sender: str, **protection: object) -> StoreOptions:
    return StoreOptions(sender=sender, protection=Protection.model_validate(protection))  # type: ignore[arg-type]


def delete_version(store: S3Store, info: ObjectInfo) -> None:
    which = {"VersionId": info.version_id}
    store.request("delete", info.key, lambda: store.named("delete_object", info.key, **which))


@pytest.mark.parametrize("sender", ["fast", "boto3"])
@pytest.mark.parametrize("way", ["put", "file", "parts", "ranges", "copy"])
def test_what_is_locked_cannot_be_deleted(
    locking: S3Bucket, tmp_path: Path, sender: str, way: str
) -> None:
    locked = options(sender, lock="compliance" if way == "put" else "governance", lock_days=1)
    store = locking.store(options=locked, multipart_bytes=5 * MIB)
    if way == "put":
        info = store.put("a", b"hello")
    elif way == "ranges":
        info, _ = store.put_ranges("a", 5 * MIB + 1, lambda start, length: bytes(length))
    elif way == "copy":
        free = locking.store()
        source = free.put("source", b"hello")
        info = store.copy_from("a", free, "source", etag=source.version, size=5)
    else:
        (tmp_path / "f").write_bytes(os.urandom(100 if way == "file" else 5 * MIB + 1))
        info = store.put_file("a", tmp_path / "f")
    with pytest.raises(AccessDenied) as refused:
        delete_version(store, info)
    assert refused.value.reply is not None
    assert (refused.value.reply.status, refused.value.reply.code) == (403, "AccessDenied")
    assert refused.value.reply.request_id
    held = store.named("head_object", "a")
    assert held["ObjectLockMode"] == ("COMPLIANCE" if way == "put" else "GOVERNANCE")
    left = held["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(days=1)
    assert info.retention_until is not None
    assert abs(info.retention_until - held["ObjectLockRetainUntilDate"]) < timedelta(minutes=1)
    if way != "copy":
        assert info.reply is not None
        assert info.reply.request_id


def test_a_legal_hold_keeps_an_object_until_it_is_lifted(locking: S3Bucket) -> None:
    store = locking.store(options=options("auto", legal_hold=True), multipart_bytes=5 * MIB)
    info = store.put("a", b"hello")
    large, _ = store.put_ranges("large", 5 * MIB + 1, lambda start, length: bytes(length))
    for held in (info, large):
        with pytest.raises(AccessDenied):
            delete_version(store, held)
    free = locking.store().put("b", b"hello")
    delete_version(store, free)


@pytest.fixture
def recording() -> Iterator[Recording]:
    server = Recording()
    server.headers["Last-Modified"] = "Wed, 25 Nov 2026 12:00:00 GMT"
    yield server
    server.stop()


def recorded_store(server: Recording, sender: str, **protection: object) -> S3Store:
    keys = server.credentials.model_copy(
        update={"customer_key": SecretStr(base64.b64encode(KEY).decode())}
    )
    return S3Store(
        "bucket",
        "",
        keys,
        options=options(sender, **protection),
        multipart_bytes=5 * MIB,
        retrier=Retrier(attempts=1),
    )


CREATED = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"


@pytest.mark.parametrize("sender", ["fast", "boto3"])
def test_a_lock_goes_with_the_md5_of_what_is_sent(
    recording: Recording, tmp_path: Path, sender: str
) -> None:
    store = recorded_store(recording, sender, lock_days=1)
    store.__dict__["checks_sha256"] = True
    store.put("a", b"hello")
    data = os.urandom(5 * MIB + 1)
    (tmp_path / "f").write_bytes(data)
    recording.body = CREATED
    with pytest.raises(TransientError):  # the recording makes no objects
        store.put_file("b", tmp_path / "f")
    sent = [r for r in recording.requests if r.method == "PUT" or ("uploads", "") in r.query]
    assert len(sent) == 4
    for request in sent:
        digest = base64.b64encode(hashlib.md5(request.body).digest()).decode()
        assert request.headers["content-md5"] == digest
        locks = [name for name in request.headers if name.startswith("x-amz-object-lock")]
        assert len(locks) == (0 if "partNumber" in dict(request.query) else 2)


@pytest.mark.parametrize("sender", ["fast", "boto3"])
def test_where_the_server_compares_no_sha256_the_md5_goes_with_what_is_sent(
    recording: Recording, tmp_path: Path, sender: str
) -> None:
    store = recorded_store(recording, sender)
    store.__dict__["checks_sha256"] = False
    (tmp_path / "f").write_bytes(os.urandom(5 * MIB + 1))
    store.put("a", b"hello", sha256=hashlib.sha256(b"hello").hexdigest())
    store.put("b", b"of ours")
    recording.body = CREATED
    with pytest.raises(TransientError):  # the recording makes no objects
        store.put_file("c", tmp_path / "f")
    sent = {r.path.rsplit("/", 1)[-1]: r for r in recording.requests if r.method == "PUT"}
    for name in ("a", "c"):
        digest = base64.b64encode(hashlib.md5(sent[name].body).digest()).decode()
        assert sent[name].headers["content-md5"] == digest
    assert "content-md5" not in sent["b"].headers, "nobody said what it must be"


def shows_key(request: Recorded) -> bool:
    start = "x-amz-server-side-encryption-customer-"
    found = {n.removeprefix(start): v for n, v in request.headers.items() if n.startswith(start)}
    return found == {
        "algorithm": "AES256",
        "key": base64.b64encode(KEY).decode(),
        "key-md5": base64.b64encode(hashlib.md5(KEY).digest()).decode(),
    }


@pytest.mark.parametrize("sender", ["fast", "boto3"])
def test_the_users_own_key_goes_with_every_request_that_touches_bytes(
    recording: Recording, tmp_path: Path, sender: str
) -> None:
    store = recorded_store(recording, sender, encryption="customer")
    store.__dict__["checks_sha256"] = True
    store.put("a", b"hello")
    store.head("a")
    store.get("a")
    store.open("a").close()
    store.fetch_file("a", tmp_path / "out")
    recording.body = CREATED
    (tmp_path / "f").write_bytes(bytes(5 * MIB + 1))
    with pytest.raises(TransientError):
        store.put_file("b", tmp_path / "f")
    touching = [r for r in recording.requests if r.method in ("PUT", "GET", "HEAD")]
    assert len(touching) >= 7
    assert all(shows_key(r) for r in touching)
    assert shows_key(next(r for r in recording.requests if ("uploads", "") in r.query))
    recording.requests.clear()
    recording.body = b""
    with pytest.raises(TransientError):
        store.copy_from("c", store, "a", etag="e", version_id="v", size=5)
    copy = next(r for r in recording.requests if r.method == "PUT")
    assert shows_key(copy)
    source = "x-amz-copy-source-server-side-encryption-customer-key"
    assert copy.headers[source] == base64.b64encode(KEY).decode()
    shown = repr(store) + repr(vars(store))
    assert base64.b64encode(KEY).decode() not in shown


@pytest.mark.parametrize("sender", ["fast", "boto3"])
def test_the_stores_own_encryption_is_asked_for(recording: Recording, sender: str) -> None:
    recorded_store(recording, sender, encryption="b2").put("a", b"hello")
    assert recording.requests[0].headers["x-amz-server-side-encryption"] == "AES256"
    recording.requests.clear()
    recorded_store(recording, sender).put("a", b"hello")
    assert not [n for n in recording.requests[0].headers if "encryption" in n or "lock" in n]


@pytest.mark.parametrize("key", [None, "", "short", base64.b64encode(b"x" * 31).decode(), "ü" * 44])
def test_a_bad_key_of_the_users_own_is_told(recording: Recording, key: str | None) -> None:
    secret = None if key is None else SecretStr(key)
    keys = recording.credentials.model_copy(update={"customer_key": secret})
    with pytest.raises(InputError, match="32") as caught:
        S3Store("bucket", "", keys, options=options("auto", encryption="customer"))
    assert not key or key not in str(caught.value)


def test_names_and_metadata_fit_into_what_b2_keeps(s3_bucket: S3Bucket) -> None:
    key = "k" * 1000
    check_metadata(key, key, {"sha256": "a" * 64, "note": "n" * (2048 - 1000 - 70 - 4)})
    with pytest.raises(InputError, match=r"2049 bytes.*2048"):
        check_metadata(key, key, {"sha256": "a" * 64, "note": "n" * (2049 - 1000 - 70 - 4)})
    with pytest.raises(InputError, match="ASCII"):
        check_metadata("a", "a", {"note": "ü"})
    s3_bucket.proxy.reset()
    store = s3_bucket.store("p" * 1000)
    with pytest.raises(InputError, match="kkk"):
        store.put(key, b"")
    assert s3_bucket.proxy.requests == []
