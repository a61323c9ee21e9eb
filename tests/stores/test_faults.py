"""Uploads through faults: nothing lost, nothing sent twice; and the faults themselves."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from services import b2_strict
from services.b2_faults import flipped
from services.b2_strict import Faults
from services.s3_endpoint import S3Bucket

from trainset.errors import ChecksumMismatch, StoreFull, TransientError
from trainset.retry_class import is_run_fatal
from trainset.stores.retry import Gate, Retrier
from trainset.stores.s3 import S3Store

MIB = 2**20


def put_all(store: S3Store, count: int, *, threads: int) -> None:
    """``count`` objects of their own bytes, each checked by the server."""

    def put(i: int) -> None:
        data = b"%d" % i * 100
        store.put(f"k{i:04}", data, sha256=hashlib.sha256(data).hexdigest())

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(put, range(count)))


def test_a_server_with_a_low_limit_loses_no_file_and_gets_none_twice(
    s3_bucket: S3Bucket,
) -> None:
    store = S3Store(s3_bucket.name, "", s3_bucket.endpoint.credentials, retrier=Retrier())
    store.checks_sha256  # noqa: B018  the probe is no file
    proxy = s3_bucket.proxy
    proxy.reset()
    proxy.faults = faults = Faults(requests_per_s=100, retry_after="1")
    started = time.monotonic()
    put_all(store, 400, threads=64)
    took = time.monotonic() - started
    print(f"400 files at 100 requests/s: {took:.1f} s, {faults.limited} refused")
    assert faults.limited > 0
    assert sorted(proxy.stored("/k").values()) == [1] * 400
    proxy.faults = Faults()
    assert len(list(store.list("k"))) == 400
    assert store._retrier.gate.requests_per_s < 450  # it has learnt


def test_mixed_faults_of_thirty_percent_lose_nothing(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store()
    store._retrier = Retrier(
        attempts=20, base_s=0.005, cap_s=0.05, gate=Gate(4000), renew=store.client.close
    )
    s3_bucket.proxy.faults = faults = Faults(
        slow_down=0.075, reset=0.075, lost_reply=0.075, internal_error=0.075, seed=5
    )

    def put(i: int) -> None:
        data = os.urandom(1000)
        sent = hashlib.sha256(data).hexdigest()
        assert store.put(f"m{i:03}", data, sha256=sent).sha256 == sent

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, range(150)))
    assert faults.injected > 50
    s3_bucket.proxy.faults = Faults()
    for key in (f"m{i:03}" for i in range(150)):
        assert len(store.list_versions(key)) == 1
    with ThreadPoolExecutor(8) as pool:
        infos = list(pool.map(store.head, [f"m{i:03}" for i in range(150)]))
    assert all(i is not None and i.size == 1000 for i in infos)


def test_a_bit_that_flips_on_the_way_is_refused(s3_bucket: S3Bucket) -> None:
    if s3_bucket.endpoint.kind == "moto":
        pytest.skip("moto compares no sha256")
    store = s3_bucket.store()
    assert store.checks_sha256
    s3_bucket.proxy.faults = Faults(flip=1, limit=1)
    data = os.urandom(2 * MIB)
    with pytest.raises(ChecksumMismatch):
        store.put("a", data, sha256=hashlib.sha256(data).hexdigest())
    assert store.head("a") is None
    store.put("a", data, sha256=hashlib.sha256(data).hexdigest())
    assert store.get("a") == data
    assert sum(a != b for a, b in zip(flipped(data), data, strict=True)) == 1


def test_a_lost_reply_of_complete_is_found_out(s3_bucket: S3Bucket, tmp_path: Path) -> None:
    data = os.urandom(6 * MIB)
    (tmp_path / "f").write_bytes(data)
    store = s3_bucket.store(multipart_bytes=5 * MIB)
    s3_bucket.proxy.faults = faults = Faults(lost_complete=1, limit=1)
    digest = hashlib.sha256(data).hexdigest()
    assert store.put_file("big", tmp_path / "f", sha256=digest).sha256 == digest
    assert faults.injected == 1
    assert len(store.list_versions("big")) == 1


def test_an_exceeded_cap_ends_the_run_and_is_no_fault_of_the_file(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store()
    store.put("before", b"x")
    s3_bucket.proxy.faults = Faults(cap_exceeded=1)
    with pytest.raises(StoreFull, match="storage_cap_exceeded") as caught:
        store.put("after", b"x")
    assert is_run_fatal(caught.value)
    assert store.get("before") == b"x"  # reading goes on


def test_an_internal_error_is_tried_again_on_a_new_connection(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store()
    renewed: list[int] = []

    def renew() -> None:
        renewed.append(1)
        store.client.close()

    store._retrier = Retrier(base_s=0.001, renew=renew)
    s3_bucket.proxy.faults = Faults(internal_error=1, limit=2)
    store.put("a", b"hello")
    assert len(renewed) == 2
    assert store.get("a") == b"hello"
    s3_bucket.proxy.faults = Faults(internal_error=1)
    store._retrier = Retrier(attempts=2, base_s=0.001)
    with pytest.raises(TransientError, match="InternalError"):
        store.get("a")


def test_large_bodies_stream_through_the_proxy_unchanged(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    data = os.urandom(9 * MIB + 17)
    (tmp_path / "f").write_bytes(data)
    store = s3_bucket.store()
    store.put_file("a", tmp_path / "f")
    s3_bucket.proxy.faults = Faults(reset=0.5, lost_reply=0.2, limit=4, seed=2)
    store.put_file("b", tmp_path / "f")
    assert store.get("a") == store.get("b") == data
    assert len(store.list_versions("b")) == 1


def test_reading_a_stream_takes_one_turn_not_one_a_block(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store()
    data = os.urandom(6 * MIB)
    store.put("a", data)
    turns: list[int] = []
    gate = store._retrier.gate
    take, gate.acquire = gate.acquire, lambda: (turns.append(1), take())[1]  # type: ignore[method-assign]
    with store.open("a") as handle:
        assert handle.read() == data
    assert len(turns) == 1


def test_the_proxy_runs_alone_as_a_command(s3_bucket: S3Bucket) -> None:
    command = [sys.executable, b2_strict.__file__, s3_bucket.endpoint.server.url]
    with subprocess.Popen(
        [*command, "--internal-error", "1", "--limit", "1"], stdout=subprocess.PIPE, text=True
    ) as proxy:
        try:
            assert proxy.stdout is not None
            url = proxy.stdout.readline().strip()
            credentials = s3_bucket.endpoint.credentials.model_copy(update={"endpoint": url})
            store = S3Store(s3_bucket.name, "", credentials, retrier=Retrier(base_s=0.001))
            store.put("a", b"hello")
            assert store.get("a") == b"hello"
        finally:
            proxy.terminate()
