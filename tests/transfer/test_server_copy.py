"""From bucket to bucket of one account: the bytes travel once, or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from services.s3_endpoint import S3Bucket, S3Endpoint
from transfer_bench import Bench, make_bench, statuses, totals

from trainset.errors import InputError
from trainset.home import open_home
from trainset.stores.s3 import S3Store
from trainset.transfer import send_remote

MIB = 2**20


@pytest.fixture
def bucket_bench(
    s3_bucket: S3Bucket, s3_endpoint: S3Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    """The home in one bucket, the source in another one of the same account."""
    monkeypatch.setenv("TRAINSET_STATE", str(tmp_path / "state"))
    url = f"{s3_bucket.url}/home"
    home = open_home(url, credentials=s3_bucket.endpoint.credentials, create=True)
    home.store = s3_bucket.store("home")
    bench = make_bench(tmp_path, home)
    bench.store = s3_endpoint.new_bucket().store("raw")
    return bench


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sent_bytes(bucket: S3Bucket) -> int:
    return sum(r.size for r in bucket.proxy.requests if r.method in ("PUT", "POST"))


def store_of(bench: Bench) -> S3Store:
    assert isinstance(bench.home.store, S3Store)
    return bench.home.store


@pytest.mark.parametrize("memory_bytes", [MIB, 1000])
def test_bytes_of_the_same_account_are_read_once_and_not_sent(
    bucket_bench: Bench, s3_bucket: S3Bucket, memory_bytes: int
) -> None:
    data = os.urandom(50_000)
    bucket_bench.store.put("a.bin", data)
    # Metadata that were carried along from other bytes are not believed, and not copied.
    raw = bucket_bench.store
    assert isinstance(raw, S3Store)
    raw.named(
        "copy_object",
        "a.bin",
        CopySource={"Bucket": raw.bucket, "Key": raw.full_key("a.bin")},
        MetadataDirective="REPLACE",
        Metadata={"sha256": sha256(b"other")},
    )
    s3_bucket.proxy.reset()
    (outcome,) = bucket_bench.run(memory_bytes=memory_bytes)
    assert (outcome.status, outcome.sha256, outcome.moved_bytes) == ("sent", sha256(data), 0)
    assert outcome.reason == "copied by the store itself"
    assert sent_bytes(s3_bucket) == 0
    assert bucket_bench.home.read_media(str(outcome.uri)) == data
    info = store_of(bucket_bench).head(str(outcome.uri))
    assert info is not None
    assert (info.sha256, info.version_id) == (sha256(data), outcome.version_id)
    assert not (bucket_bench.home.state / "spool").exists()
    assert bucket_bench.run() == []


def test_what_a_transfer_of_ours_stored_is_not_even_read(
    bucket_bench: Bench, s3_bucket: S3Bucket
) -> None:
    data = os.urandom(4 * MIB)
    digest = sha256(data)
    bucket_bench.store.put(f"media/{digest[:2]}/{digest}", data, sha256=digest)
    s3_bucket.proxy.reset()
    (outcome,) = bucket_bench.run(memory_bytes=8 * MIB)
    assert (outcome.status, outcome.sha256) == ("sent", digest)
    gets = [r for r in s3_bucket.proxy.requests if r.method == "GET" and "list-type" not in r.query]
    assert len(gets) <= 1  # a look at its first MiB: what kind it is
    assert sent_bytes(s3_bucket) == 0
    assert bucket_bench.home.read_media(str(outcome.uri)) == data


def test_a_name_that_lies_is_found_out(bucket_bench: Bench) -> None:
    false = sha256(b"something else")
    bucket_bench.store.put(f"{false[:2]}/{false}", b"bytes")
    (outcome,) = bucket_bench.run()
    assert outcome.sha256 == sha256(b"bytes")


def test_equal_bytes_are_copied_once(bucket_bench: Bench, s3_bucket: S3Bucket) -> None:
    for name in ("a.bin", "b.bin", "c.bin"):
        bucket_bench.store.put(name, b"same" * 1000)
    outcomes = bucket_bench.run()
    assert sorted(statuses(outcomes).values()) == ["duplicate", "duplicate", "sent"]
    assert set(s3_bucket.proxy.stored("/media/").values()) == {1}


def test_a_store_that_copies_nothing_gets_the_bytes(
    bucket_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one fault that the test server cannot be brought to: it refuses copies."""
    asked = []

    def refusing(*args: object, **kwargs: object) -> None:
        asked.append(args)
        raise InputError("no copies here")

    monkeypatch.setattr(store_of(bucket_bench), "copy_from", refusing)
    for i in range(3):
        bucket_bench.store.put(f"{i}.bin", bytes([i]) * 1000)
    outcomes = bucket_bench.run(threads=1)
    assert totals(outcomes).sent == 3
    assert totals(outcomes).bytes == 3000
    assert len(asked) == 1


def test_a_large_file_is_streamed_where_copies_are_refused(
    bucket_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(*args: object) -> bool:
        return False

    monkeypatch.setattr(send_remote.ServerCopier, "can", no)
    data = os.urandom(12 * MIB)
    bucket_bench.store.put("a.bin", data)
    (outcome,) = bucket_bench.run(memory_bytes=MIB)
    assert str(outcome.uri).startswith("media/u/")
    assert (outcome.sha256, outcome.moved_bytes) == (sha256(data), len(data))
    assert bucket_bench.home.read_media(str(outcome.uri)) == data
