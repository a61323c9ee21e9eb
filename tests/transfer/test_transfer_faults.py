"""What a bad network, a busy store and a restless source may do to a transfer: nothing is lost."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from pathlib import Path

import pytest
from services.b2_strict import Faults
from services.s3_endpoint import S3Bucket
from transfer_bench import Bench, statuses, totals

from trainset.errors import StoreFull
from trainset.model import MediaFacts
from trainset.stores.base import ObjectInfo
from trainset.stores.local import LocalStore
from trainset.transfer.base import transfer_left_out

MIB = 2**20


def in_bucket(bench: Bench, bucket: S3Bucket) -> Bench:
    bench.home.store = bucket.store("home", multipart_bytes=8 * MIB)
    bucket.proxy.reset()
    return bench


def test_a_third_of_requests_failing_loses_nothing_and_doubles_nothing(
    bench: Bench, s3_bucket: S3Bucket
) -> None:
    in_bucket(bench, s3_bucket)
    for number in range(120):
        bench.write(f"{number}.bin", os.urandom(1500))
    bench.write("large.bin", os.urandom(11 * MIB))
    s3_bucket.proxy.faults = Faults(
        slow_down=0.02,
        retry_after="0",
        internal_error=0.1,
        reset=0.1,
        lost_reply=0.05,
        lost_complete=0.5,
        seed=5,
    )
    outcomes = bench.run(threads=8, memory_bytes=4 * MIB)
    injected = s3_bucket.proxy.faults.injected
    s3_bucket.proxy.faults = Faults()
    assert injected >= 30
    assert (totals(outcomes).sent, totals(outcomes).balances) == (121, True)
    for outcome in outcomes:
        found = hashlib.sha256(bench.home.read_media(str(outcome.uri))).hexdigest()
        assert found == outcome.sha256
    # A lost reply is looked up, not repeated: no object has a second version.
    versions = Counter(
        info.version_id
        for outcome in outcomes
        for info in s3_bucket.store("home").list_versions(str(outcome.uri))
    )
    assert len(versions) == 121


def test_a_lost_reply_to_complete_is_looked_up(bench: Bench, s3_bucket: S3Bucket) -> None:
    in_bucket(bench, s3_bucket)
    bench.write("large.bin", os.urandom(11 * MIB))
    s3_bucket.proxy.faults = Faults(lost_complete=1.0, limit=1)
    (outcome,) = bench.run(memory_bytes=4 * MIB)
    assert outcome.status == "sent"
    assert s3_bucket.proxy.faults.injected == 1
    assert len(s3_bucket.store("home").list_versions(str(outcome.uri))) == 1


@pytest.mark.parametrize("size", [2000, 11 * MIB])
def test_a_bit_flipped_on_the_way_is_sent_again(
    bench: Bench, s3_bucket: S3Bucket, size: int
) -> None:
    in_bucket(bench, s3_bucket)
    assert bench.home.store.checks_sha256  # type: ignore[attr-defined]
    data = os.urandom(size)
    bench.write("a.bin", data)
    s3_bucket.proxy.faults = Faults(flip=1.0, limit=1)
    (outcome,) = bench.run(memory_bytes=4 * MIB)
    assert (outcome.status, s3_bucket.proxy.faults.injected) == ("sent", 1)
    assert bench.home.read_media(str(outcome.uri)) == data


def test_bits_that_flip_again_and_again_make_a_dead_letter(
    bench: Bench, s3_bucket: S3Bucket
) -> None:
    in_bucket(bench, s3_bucket)
    assert bench.home.store.checks_sha256  # type: ignore[attr-defined]
    bench.write("a.bin", os.urandom(2000))
    s3_bucket.proxy.faults = Faults(flip=1.0)
    (outcome,) = bench.run()
    s3_bucket.proxy.faults = Faults()
    assert (outcome.status, outcome.kind) == ("failed", "checksum-mismatch")
    assert "memory" in str(outcome.reason)
    (again,) = bench.run()  # not tried, but listed
    assert (again.status, again.kind) == ("failed", "checksum-mismatch")
    assert [item.key for item in transfer_left_out([again])] == ["cam/a.bin"]
    assert s3_bucket.proxy.stored("/media/") == {}


class GrowingStore(LocalStore):
    """A folder with one file that is still being written."""

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        data = super().get(key, start=start, length=length)
        if key == "growing.bin":
            with self.local_path(key).open("ab") as out:
                out.write(b"more")
        return data


def test_a_file_that_grows_while_it_is_read_waits_and_the_rest_arrives(
    bench: Bench, s3_bucket: S3Bucket
) -> None:
    in_bucket(bench, s3_bucket)
    for name in ("a.bin", "growing.bin", "z.bin"):
        bench.write(name, name.encode() * 100)
    bench.store = GrowingStore(bench.folder)
    outcomes = bench.run()
    assert statuses(outcomes) == {"a.bin": "sent", "growing.bin": "deferred", "z.bin": "sent"}
    assert len(s3_bucket.proxy.stored("/media/")) == 2
    bench.store = LocalStore(bench.folder)
    assert statuses(bench.run()) == {"growing.bin": "sent"}


def test_a_large_file_that_changes_while_its_parts_are_sent_waits(
    bench: Bench, s3_bucket: S3Bucket
) -> None:
    in_bucket(bench, s3_bucket)
    path = bench.write("large.bin", os.urandom(11 * MIB))
    changed = threading.Event()

    def changing_probe(data: bytes | Path, name: str) -> MediaFacts:
        if not changed.is_set():  # after the hash pass, before the parts
            changed.set()
            path.write_bytes(os.urandom(11 * MIB))
        return MediaFacts(mime="application/octet-stream", modality="other")

    bench.probe = changing_probe  # type: ignore[method-assign]
    (outcome,) = bench.run(memory_bytes=4 * MIB)
    assert (outcome.status, outcome.kind) == ("deferred", "source-changed")
    assert list(bench.home.store.list("media/")) == []
    (outcome,) = bench.run(memory_bytes=4 * MIB)
    assert outcome.status == "sent"
    assert bench.home.read_media(str(outcome.uri)) == path.read_bytes()


def test_an_account_at_its_cap_ends_the_run_and_blames_no_file(
    bench: Bench, s3_bucket: S3Bucket
) -> None:
    in_bucket(bench, s3_bucket)
    for number in range(40):
        bench.write(f"{number}.bin", os.urandom(100))
    s3_bucket.proxy.faults = Faults(cap_exceeded=1.0)
    with pytest.raises(StoreFull, match="cap"):
        bench.run(threads=4)
    s3_bucket.proxy.faults = Faults()
    assert set(statuses(bench.run()).values()) == {"sent"}


def test_a_name_that_the_store_refuses_fails_alone(bench: Bench, s3_bucket: S3Bucket) -> None:
    in_bucket(bench, s3_bucket)
    store = bench.home.store
    real = store.put

    def picky(key: str, data: bytes, **options: object) -> ObjectInfo:
        from trainset.errors import InputError

        if data == b"odd":
            raise InputError(f"{key}: the store does not take this request")
        return real(key, data, **options)  # type: ignore[arg-type]

    store.put = picky  # type: ignore[method-assign]
    bench.write("a.bin", b"good")
    bench.write("odd.bin", b"odd")
    assert statuses(bench.run()) == {"a.bin": "sent", "odd.bin": "failed"}
