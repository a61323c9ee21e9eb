"""How parts go: few at once, checked one by one, completed once."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from services.b2_strict import Faults
from services.s3_endpoint import S3Bucket

from trainset.errors import ChecksumMismatch, TransientError
from trainset.stores import s3_ranges
from trainset.stores.retry import Retrier
from trainset.stores.s3 import S3Store

MIB = 2**20
PART = 5 * MIB


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def store(s3_bucket: S3Bucket) -> S3Store:
    return s3_bucket.store(multipart_bytes=PART)


def put(store: S3Store, data: bytes, path: Path, how: str) -> str:
    if how == "ranges":
        return store.put_ranges("big", len(data), lambda a, n: data[a : a + n])[1]
    path.write_bytes(data)
    store.put_file("big", path, sha256=sha256(data))
    return sha256(data)


@pytest.mark.parametrize("how", ["file", "ranges"])
def test_a_lost_complete_makes_one_object(
    s3_bucket: S3Bucket, store: S3Store, tmp_path: Path, how: str
) -> None:
    data = os.urandom(2 * PART)
    s3_bucket.proxy.faults = Faults(lost_complete=1, limit=1)
    assert put(store, data, tmp_path / "f", how) == sha256(data)
    assert s3_bucket.proxy.faults.injected == 1
    assert len(store.list_versions("big")) == 1


def test_a_part_damaged_on_the_way_is_refused(
    s3_bucket: S3Bucket, store: S3Store, tmp_path: Path
) -> None:
    data = os.urandom(2 * PART)
    store.checks_sha256  # noqa: B018  its probe is a PUT too
    s3_bucket.proxy.faults = Faults(flip=1, limit=1, methods=frozenset({"PUT"}))
    with pytest.raises(ChecksumMismatch):
        put(store, data, tmp_path / "f", "file")
    uploads = store.client.list_multipart_uploads(Bucket=store.bucket)
    assert uploads.get("Uploads", []) == []
    put(store, data, tmp_path / "f", "file")
    assert store.get("big") == data


def test_all_files_of_a_store_share_eight_workers(store: S3Store, tmp_path: Path) -> None:
    under_way, most = [], []
    original = store.sender.upload_part

    def watched(*arguments: object) -> str:
        under_way.append(1)
        most.append(len(under_way))
        try:
            return original(*arguments)  # type: ignore[arg-type]
        finally:
            under_way.pop()

    store.sender.upload_part = watched  # type: ignore[assignment, method-assign]
    data = os.urandom(2 * PART + 1)
    (tmp_path / "f").write_bytes(data)
    with ThreadPoolExecutor(4) as pool:
        keys = [f"{number}" for number in range(4)]
        list(pool.map(lambda key: store.put_file(key, tmp_path / "f", sha256=sha256(data)), keys))
    assert len(most) == 12
    assert max(most) <= 8


def test_ranges_hold_a_few_parts_at_most(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert s3_ranges.HELD_BYTES == 64 * MIB
    monkeypatch.setattr(s3_ranges, "HELD_BYTES", 2 * PART)
    size, asked, held = 5 * PART, [], Counting()

    def read_range(start: int, length: int) -> bytes:
        held.add(1)
        asked.append((start, length))
        return bytes(length)

    original = store.sender.upload_part

    def watched(*arguments: object) -> str:
        try:
            return original(*arguments)  # type: ignore[arg-type]
        finally:
            held.add(-1)

    store.sender.upload_part = watched  # type: ignore[assignment, method-assign]
    info, found = store.put_ranges("big", size, read_range, content_type="video/mp4")
    assert (info.size, found) == (size, sha256(bytes(size)))
    assert sorted(asked) == [(at, PART) for at in range(0, size, PART)]
    assert held.most == 2
    assert store.named("head_object", "big")["ContentType"] == "video/mp4"


class Counting:
    """How many things are there, and were at most."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def add(self, step: int) -> None:
        self.now += step
        self.most = max(self.most, self.now)


@pytest.mark.parametrize("size", [0, 1, PART])
def test_small_sources_go_in_one_request(s3_bucket: S3Bucket, store: S3Store, size: int) -> None:
    data = os.urandom(size)
    store.checks_sha256  # noqa: B018  its probe is a request too
    s3_bucket.proxy.reset()
    info, found = store.put_ranges("small", size, lambda a, n: data[a : a + n])
    assert (info.size, found) == (size, sha256(data))
    assert s3_bucket.proxy.counts == {"PUT": 1}
    assert store.get("small") == data


def test_retries_of_parts_have_a_budget(s3_bucket: S3Bucket, tmp_path: Path) -> None:
    retrier = Retrier(attempts=2, base_s=0.001)
    store = S3Store(
        s3_bucket.name,
        "",
        s3_bucket.endpoint.credentials,
        retrier=retrier,
        multipart_bytes=PART,
    )
    s3_bucket.proxy.faults = Faults(reset=1, methods=frozenset({"PUT"}))
    with pytest.raises(TransientError):
        put(store, os.urandom(2 * PART), tmp_path / "f", "ranges")
