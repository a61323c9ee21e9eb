"""Copies made by the store, versions by id, large downloads in ranges."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from services.b2_strict import Faults
from services.s3_endpoint import S3Bucket, S3Endpoint

from trainset.errors import NotFound, SourceChanged
from trainset.stores import s3_copy, s3_get
from trainset.stores.s3 import S3Store, same_endpoint

MIB = 2**20


@pytest.fixture
def other(s3_endpoint: S3Endpoint) -> S3Store:
    return s3_endpoint.new_bucket().store("there")


def test_the_store_copies_without_us(s3_bucket: S3Bucket, other: S3Store) -> None:
    store, name = s3_bucket.store("here"), "a b/ü.txt"
    info = other.put(name, b"hello", content_type="text/plain")
    s3_bucket.proxy.reset()
    pinned = {"etag": info.version, "version_id": info.version_id}
    copied = store.copy_from("k", other, name, size=5, **pinned)  # type: ignore[arg-type]
    assert sum(r.size for r in s3_bucket.proxy.requests) == 0
    assert s3_bucket.proxy.counts == {"PUT": 1, "HEAD": 1}
    assert (copied.size, copied.version, copied.sha256) == (5, info.version, info.sha256)
    assert store.get("k") == b"hello"
    assert store.named("head_object", "k")["ContentType"] == "text/plain"


@pytest.mark.parametrize("in_parts", [False, True])
def test_only_the_pinned_version_is_copied(
    s3_bucket: S3Bucket, other: S3Store, monkeypatch: pytest.MonkeyPatch, in_parts: bool
) -> None:
    if in_parts:
        monkeypatch.setattr(s3_copy, "PARTS_FROM", 0)
        monkeypatch.setattr(s3_copy, "PART_BYTES", 5 * MIB)
    store = s3_bucket.store()
    old = other.put("a", b"old")
    other.put("a", b"newer")
    with pytest.raises(SourceChanged):
        store.copy_from("k", other, "a", etag=old.version, size=3)
    assert store.head("k") is None
    assert store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", []) == []
    store.copy_from("k", other, "a", etag=old.version, version_id=old.version_id, size=3)
    assert store.get("k") == b"old"
    with pytest.raises(NotFound):
        store.copy_from("k", other, "none", etag="0" * 32, size=3)


def test_large_objects_are_copied_in_parts(
    s3_bucket: S3Bucket, other: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_copy, "PARTS_FROM", 5 * MIB)
    monkeypatch.setattr(s3_copy, "PART_BYTES", 5 * MIB)
    data = os.urandom(11 * MIB)
    info = other.put("a", data, content_type="video/mp4")
    store = s3_bucket.store()
    s3_bucket.proxy.faults = Faults(lost_complete=1, internal_error=0.2)
    copied = store.copy_from("k", other, "a", etag=info.version, size=len(data))
    assert (copied.size, copied.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert store.named("head_object", "k")["ContentType"] == "video/mp4"
    assert store.get("k") == data
    assert len(store.list_versions("k")) == 1


def test_a_copy_whose_reply_was_lost_is_made_once(s3_bucket: S3Bucket, other: S3Store) -> None:
    store, info = s3_bucket.store(), other.put("a", b"hello")
    s3_bucket.proxy.faults = Faults(lost_reply=1, methods=frozenset({"PUT"}), limit=1)
    store.copy_from("k", other, "a", etag=info.version, size=5)
    assert len(store.list_versions("k")) == 1


def test_same_endpoint_means_address_and_key(s3_bucket: S3Bucket) -> None:
    keys = s3_bucket.endpoint.credentials
    store = s3_bucket.store()
    assert same_endpoint(store, S3Store("other", "p", keys))
    elsewhere = {"endpoint": "https://s3.us-west-004.backblazeb2.com"}
    for change in (elsewhere, {"key_id": "x", "application_key": SecretStr("y")}):
        assert not same_endpoint(store, S3Store("b", "", keys.model_copy(update=change)))


def test_old_versions_are_read_by_their_id(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store("p")
    old, new = store.put("a", b"old!"), store.put("a", b"new")
    assert old.version_id is not None
    assert store.get_version("a", old.version_id) == b"old!"
    with store.open_version("a", old.version_id) as handle:
        assert handle.read() == b"old!"
    head = store.head("a", version_id=old.version_id)
    assert head is not None
    assert (head.size, head.version, head.version_id) == (4, old.version, old.version_id)
    store.delete("a")
    assert store.head("a") is None
    assert store.head("a", version_id=new.version_id) is not None
    with pytest.raises(NotFound):
        store.get_version("b", old.version_id)


def test_versions_of_all_keys_come_as_a_stream(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store("p")
    s3_bucket.store("q").put("elsewhere", b"")
    for key in ("a", "ab", "b/c", "gone"):
        for i in range(3):
            store.put(key, b"x" * i)
    store.delete("gone")
    store.delete("never")
    store.client.meta.events.register(
        "before-parameter-build.s3.ListObjectVersions", lambda params, **_: params.update(MaxKeys=2)
    )
    found = list(store.iter_versions())
    assert [key for key, _ in found] == sorted(["a", "ab", "b/c", "gone"] * 3)
    assert [v.size for _, v in found] == [2, 1, 0] * 4
    assert [(k, v.size) for k, v in found if v.is_latest] == [("a", 2), ("ab", 2), ("b/c", 2)]
    assert found[0][1].etag == store.head("a").version  # type: ignore[union-attr]
    assert [key for key, _ in store.iter_versions("a")] == ["a"] * 3 + ["ab"] * 3
    assert len(store.list_versions("a")) == 3


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_get, "PARALLEL_BYTES", 2 * MIB)
    monkeypatch.setattr(s3_get, "RANGE_BYTES", MIB)


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize("size", [0, 1, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 7 * MIB + 5])
def test_downloads_of_any_size_are_whole(s3_bucket: S3Bucket, tmp_path: Path, size: int) -> None:
    data, store = os.urandom(size), s3_bucket.store()
    store.put("a", data)
    s3_bucket.proxy.reset()
    store.fetch_file("a", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == data
    assert s3_bucket.proxy.counts == {"GET": 1 + max(0, -(-(size - 2 * MIB) // MIB))}


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize("streams", [1, 2], ids=["in-order", "in-ranges"])
def test_faults_on_the_way_are_mended(
    s3_bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streams: int
) -> None:
    monkeypatch.setattr(s3_get, "STREAMS", streams)  # one file is under way
    data, store = os.urandom(9 * MIB), s3_bucket.store()
    store.put("a", data)
    s3_bucket.proxy.faults = Faults(reset=0.2, lost_reply=0.2, slow_down=0.1, retry_after="0")
    # A piece that broke off half-way must not be hashed twice.
    store.fetch_file("a", tmp_path / "f", sha256=hashlib.sha256(data).hexdigest())
    assert (tmp_path / "f").read_bytes() == data


@pytest.mark.usefixtures("small_ranges")
def test_a_download_is_of_one_version(s3_bucket: S3Bucket, tmp_path: Path) -> None:
    store = s3_bucket.store()
    store.put("a", os.urandom(9 * MIB))
    original, asked = store.sender.get_object, []

    def overwriting(*arguments: object, **wanted: object) -> object:
        reply = original(*arguments, **wanted)  # type: ignore[arg-type]
        if not asked:
            asked.append(wanted)
            store.put("a", os.urandom(9 * MIB))
        return reply

    store.sender.get_object = overwriting  # type: ignore[assignment, method-assign]
    with pytest.raises(SourceChanged):
        store.fetch_file("a", tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


LARGE = 80 * MIB
MOVING = """
import resource, sys
from pathlib import Path
from trainset.model import Credentials
from trainset.stores.s3 import S3Store
bucket, endpoint, key_id, secret, folder = sys.argv[1:]
credentials = Credentials(key_id=key_id, application_key=secret, endpoint=endpoint)
store = S3Store(bucket, "", credentials, multipart_bytes=64 * 2**20)
store.put("warm", b"")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.put_file("a", Path(folder, "in"))
store.fetch_file("a", Path(folder, "out"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_large_files_pass_through_little_memory(s3_bucket: S3Bucket, tmp_path: Path) -> None:
    with open(tmp_path / "in", "wb") as handle:
        handle.truncate(LARGE)
    endpoint = s3_bucket.endpoint
    # Past the proxy, which holds whole bodies.
    arguments = [s3_bucket.name, endpoint.server.url, endpoint.key_id, endpoint.secret]
    done = subprocess.run(
        [sys.executable, "-c", MOVING, *arguments, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert (tmp_path / "out").stat().st_size == LARGE
    assert int(done.stdout) < 40 * 1024  # KiB more than before
