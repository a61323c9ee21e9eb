"""What the S3 store does beyond the contract: B2's rules, faults, parts, versions, messages."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from services.b2_strict import B2Strict, Faults, refusal
from services.moto_s3 import KEY_ID, SECRET, MotoS3
from services.s3_endpoint import S3Bucket, S3Endpoint

from trainset.errors import (
    AccessDenied,
    ChecksumMismatch,
    InputError,
    NotFound,
    SourceChanged,
    TransientError,
)
from trainset.model import Credentials
from trainset.stores import open_store
from trainset.stores.endpoint import normal_endpoint, region_of
from trainset.stores.local import LocalStore
from trainset.stores.parts import part_bytes
from trainset.stores.retry import Retrier, Throttled
from trainset.stores.s3 import S3Store

MIB = 2**20


@pytest.fixture(scope="module")
def moto() -> Iterator[S3Endpoint]:
    server = MotoS3()
    endpoint = S3Endpoint("moto", B2Strict(server.url), server, KEY_ID, SECRET)
    yield endpoint
    endpoint.stop()


def test_a_server_that_checks_no_hash_is_found_out(moto: S3Endpoint, tmp_path: Path) -> None:
    store = moto.new_bucket().store()
    (tmp_path / "f").write_bytes(b"hello")
    wrong = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(ChecksumMismatch):
        store.put("k", b"hello", sha256=wrong)
    with pytest.raises(ChecksumMismatch):
        store.put_file("k", tmp_path / "f", sha256=wrong)
    assert not store.checks_sha256
    assert list(store.list()) == []


def test_one_put_is_one_request(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store()
    store.put("a", b"x" * 1000)
    assert s3_bucket.proxy.counts == {"PUT": 1}
    assert store.head("a").sha256 == hashlib.sha256(b"x" * 1000).hexdigest()  # type: ignore[union-attr]


def test_a_listing_takes_one_request_a_page(
    s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = s3_bucket.store()
    for i in range(5):
        store.put(f"{i}", b"")
    monkeypatch.setattr(store.sender, "list_page", partial(store.sender.list_page, limit=2))
    s3_bucket.proxy.reset()
    assert [i.key for i in store.list(start_after="0")] == ["1", "2", "3", "4"]
    assert s3_bucket.proxy.counts == {"GET": 2}


def test_versions_of_a_key_come_oldest_first(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store("p")
    store.put("refs/main-2", b"other")
    for i in range(3):
        store.put("refs/main", b"x" * i)
    store.delete("refs/main")
    versions = store.list_versions("refs/main")
    assert [v.size for v in versions] == [0, 1, 2]
    assert [store.get_version("refs/main", v.version_id) for v in versions] == [b"", b"x", b"xx"]
    assert store.list_versions("refs/none") == []
    with pytest.raises(NotFound):
        store.get("refs/main")


def test_a_lost_reply_makes_no_second_version(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store()
    s3_bucket.proxy.faults = Faults(lost_reply=1, methods=frozenset({"PUT"}), limit=1)
    info = store.put("a", b"hello")
    assert len(store.list_versions("a")) == 1
    assert info.version_id == store.list_versions("a")[0].version_id


def test_retry_after_holds_all_threads_back(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store()
    s3_bucket.proxy.faults = Faults(slow_down=1, retry_after="1", limit=1)
    started = time.monotonic()
    store.put("a", b"hello")
    assert time.monotonic() - started >= 1


def test_faults_end_as_transient_when_the_budget_is_used_up(s3_bucket: S3Bucket) -> None:
    retrier = Retrier(attempts=3, base_s=0.001, throttle_s=0.05)
    store = S3Store(s3_bucket.name, "", s3_bucket.endpoint.credentials, retrier=retrier)
    s3_bucket.proxy.faults = Faults(reset=1)
    with pytest.raises(TransientError, match="run again"):
        store.get("a")
    assert s3_bucket.proxy.counts["GET"] == 3
    s3_bucket.proxy.faults = Faults(slow_down=1)
    with pytest.raises(Throttled):
        store.get("a")


@pytest.mark.parametrize("lost", [False, True])
def test_large_files_go_in_parts(s3_bucket: S3Bucket, tmp_path: Path, lost: bool) -> None:
    data = os.urandom(11 * MIB + 3)
    (tmp_path / "f").write_bytes(data)
    store = s3_bucket.store(multipart_bytes=5 * MIB)
    digest = hashlib.sha256(data).hexdigest()
    if lost:  # of CreateMultipartUpload or Complete
        s3_bucket.proxy.faults = Faults(lost_reply=0.5, methods=frozenset({"POST"}), limit=2)
    info = store.put_file("big", tmp_path / "f", sha256=digest, content_type="video/mp4")
    assert (info.size, info.sha256) == (len(data), digest)
    parts = [r for r in s3_bucket.proxy.requests if "partNumber" in r.query and r.status == 200]
    assert len(parts) == 3
    assert store.get("big") == data
    assert len(store.list_versions("big")) == 1


def test_a_file_in_parts_that_is_not_what_was_promised_is_taken_back(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(os.urandom(6 * MIB))
    store = s3_bucket.store(multipart_bytes=5 * MIB)
    with pytest.raises(ChecksumMismatch):
        store.put_file("big", tmp_path / "f", sha256="0" * 64)
    assert store.head("big") is None
    uploads = store.client.list_multipart_uploads(Bucket=s3_bucket.name)
    assert uploads.get("Uploads", []) == []


def test_part_sizes_fit_the_limits() -> None:
    for size in (5 * MIB, 100 * MIB, 2**30 - 1, 2**30, 10 * 10**12):
        part = part_bytes(size)
        assert 5 * MIB <= part <= 5 * 2**30
        assert -(-size // part) <= 10_000


def test_a_broken_stream_goes_on_where_it_broke(s3_bucket: S3Bucket, tmp_path: Path) -> None:
    data = os.urandom(3 * MIB)
    store = s3_bucket.store()
    store.put("a", data)
    with store.open("a") as handle:
        got = handle.read(1000)
        # Break the connection under the reader, as a network does.
        handle.raw._reply.close()  # type: ignore[attr-defined]
        handle.raw._reply = None  # type: ignore[attr-defined]
        assert got + handle.read() == data
    with store.open("a") as handle:
        handle.read(1000)
        handle.raw._drop()  # type: ignore[attr-defined]
        store.put("a", os.urandom(3 * MIB))
        with pytest.raises(SourceChanged):
            handle.read()


def test_an_unknown_key_is_told_with_endpoint_and_next_step(s3_bucket: S3Bucket) -> None:
    if s3_bucket.endpoint.kind == "moto":
        pytest.skip("moto takes every key")
    credentials = s3_bucket.endpoint.credentials.model_copy(update={"key_id": "nobody"})
    store = S3Store(s3_bucket.name, "", credentials)
    with pytest.raises(AccessDenied) as caught:
        list(store.list())
    for word in ("InvalidAccessKeyId", credentials.endpoint, "region", "TRAINSET_S3_ENDPOINT"):
        assert word in str(caught.value)
    assert "testsecret" not in str(caught.value)
    with pytest.raises(AccessDenied, match="endpoint"):
        store.head("a")  # a HEAD has no body: the code is not known


def test_a_bucket_that_is_not_there_is_named(s3_bucket: S3Bucket) -> None:
    store = S3Store("no-such-bucket-here", "", s3_bucket.endpoint.credentials)
    with pytest.raises(NotFound, match="no-such-bucket-here"):
        store.put("a", b"")


def test_endpoints_say_their_region() -> None:
    assert region_of("https://s3.us-west-004.backblazeb2.com") == "us-west-004"
    assert region_of("https://s3.eu-central-1.amazonaws.com") == "eu-central-1"
    assert region_of("http://127.0.0.1:9000") == "us-east-1"
    assert normal_endpoint("s3.us-west-004.backblazeb2.com/").startswith("https://s3.us-west-004")
    with pytest.raises(InputError, match="no bucket"):
        normal_endpoint("https://s3.us-west-004.backblazeb2.com/bucket")


def test_open_store_takes_paths_and_urls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path)), LocalStore)
    assert open_store(f"file://{tmp_path}/a%20b").url == f"{tmp_path}/a b"
    for name in ("B2_KEY_ID", "B2_APPLICATION_KEY", "TRAINSET_S3_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(AccessDenied, match="B2_KEY_ID, B2_APPLICATION_KEY"):
        open_store("b2://bucket/p")
    monkeypatch.setenv("B2_KEY_ID", "id")
    monkeypatch.setenv("B2_APPLICATION_KEY", "very-secret")
    monkeypatch.setenv("TRAINSET_S3_ENDPOINT", "https://s3.us-west-004.backblazeb2.com")
    store = open_store("b2://bucket/p/")
    assert (store.url, store.uri("k")) == ("s3://bucket/p", "s3://bucket/p/k")
    assert "very-secret" not in repr(store) + repr(vars(store))
    assert store.storage_options()["aws_region"] == "us-west-004"
    for url in ("gs://x", "s3://", "file://"):
        with pytest.raises(InputError):
            open_store(url)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": "*"}, 501),
        ({"x-amz-tagging": "a=b"}, 400),
        ({"x-amz-acl": "private"}, 400),
        ({"x-amz-checksum-crc32": "x"}, 400),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, 400),
        ({"content-encoding": "aws-chunked"}, 411),
        ({"x-amz-object-lock-mode": "GOVERNANCE"}, 400),
        ({"x-amz-meta-note": "x" * 2048}, 400),
    ],
)
def test_the_strict_proxy_refuses_what_b2_refuses(headers: dict[str, str], status: int) -> None:
    found = refusal("PUT", "/bucket/key", "", headers)
    assert found is not None
    assert found[0] == status
    assert refusal("PUT", "/bucket/key", "", {"content-type": "text/plain"}) is None


def test_the_strict_proxy_stands_before_the_server(s3_bucket: S3Bucket) -> None:
    client = s3_bucket.store().client
    with pytest.raises(client.exceptions.ClientError, match="NotImplemented"):
        client.put_object(Bucket=s3_bucket.name, Key="a", Body=b"", IfNoneMatch="*")


def test_credentials_hide_the_key() -> None:
    shown = repr(
        Credentials.model_validate({"key_id": "i", "application_key": "s3cr", "endpoint": "e"})
    )
    assert "s3cr" not in shown
