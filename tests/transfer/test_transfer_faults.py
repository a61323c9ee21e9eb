"""What a bad network, a busy store and a restless source may do to a transfer: nothing is lost."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from services.b2_strict import Faults
from services.s3_endpoint import S3Bucket
from transfer_bench import Bench, statuses, totals

from trainset.errors import StoreFull
from trainset.model import MediaFacts, StoreOptions, TransferTotals
from trainset.stores.base import ObjectInfo
from trainset.stores.local import LocalStore
from trainset.stores.s3_uploads import iter_uploads
from trainset.transfer.base import transfer_left_out
from trainset.transfer.ledger import open_ledger
from trainset.transfer.report import PARQUET, write_transfer_report
from trainset.transfer.report_facts import check_balance
from trainset.transfer.verify import expected_of, verify_files

MIB = 2**20


def in_bucket(bench: Bench, bucket: S3Bucket) -> Bench:
    bench.home.store = bucket.store("home", multipart_bytes=8 * MIB)
    bucket.proxy.reset()
    return bench


@pytest.mark.parametrize("sender", ["fast", "boto3"])
def test_a_third_of_requests_failing_loses_nothing_and_doubles_nothing(
    bench: Bench, s3_bucket: S3Bucket, sender: Any, tmp_path: Path
) -> None:
    options = StoreOptions(sender=sender, requests_per_s=10_000)
    bench.home.store = s3_bucket.store("home", multipart_bytes=8 * MIB, options=options)
    contents = {f"{number}.bin": os.urandom(1500) for number in range(120)}
    contents |= {"large.bin": os.urandom(11 * MIB), "larger.bin": os.urandom(17 * MIB)}
    for name, data in contents.items():
        bench.write(name, data)
    s3_bucket.proxy.reset()
    s3_bucket.proxy.faults = faults = Faults(
        slow_down=0.05,
        retry_after="0",
        internal_error=0.13,
        reset=0.12,
        lost_reply=0.05,
        lost_complete=0.5,
        seed=5,
    )
    outcomes = bench.run(threads=8, memory_bytes=4 * MIB)
    s3_bucket.proxy.faults = Faults()
    seen = [r for r in s3_bucket.proxy.requests if r.method in faults.methods]
    # (Of the few Complete requests one may be spared: a test below has that fault for sure.)
    assert faults.kinds.keys() >= {"slow_down", "internal_error", "reset", "lost_reply"}
    assert faults.injected >= 0.2 * len(seen)

    # Every outcome, against the source; and the report has just these.
    assert totals(outcomes) == TransferTotals(
        planned=122, sent=122, bytes=sum(map(len, contents.values()))
    )
    sha256s = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    assert {o.file.path: o.sha256 for o in outcomes} == sha256s
    facts = write_transfer_report(outcomes, tmp_path)
    check_balance(totals(outcomes), facts)
    rows = pq.read_table(tmp_path / PARQUET).to_pylist()
    assert {row["key"]: (row["status"], row["sha256"]) for row in rows} == {
        f"cam/{name}": ("sent", sha256) for name, sha256 in sha256s.items()
    }

    # The server's own word: one version of each content, with the right bytes, and nothing else.
    store = s3_bucket.store("home")
    versions = list(store.iter_versions("media/"))
    assert sorted(key.rpartition("/")[2] for key, _ in versions) == sorted(sha256s.values())
    for key, version in versions:
        found = hashlib.sha256(store.get_version(key, version.version_id)).hexdigest()
        assert found == key.rpartition("/")[2]
    # A lost reply to "begin" leaves an upload that nobody knows: found, and listed with its price.
    begun = [r for r in seen if r.method == "POST" and r.query == "uploads" and r.status == 200]
    result = verify_files(
        map(expected_of, outcomes), home=bench.home, sources={}, level="L3", whole=True
    )
    assert (result.ok, result.reached, result.extra) == (True, {"L3": 122}, 0)
    assert len(begun) >= 2
    assert {k.kind: k.count for k in result.beside} == (
        {"upload": len(begun) - 2} if len(begun) > 2 else {}
    )


def test_a_lost_reply_to_complete_is_looked_up(bench: Bench, s3_bucket: S3Bucket) -> None:
    in_bucket(bench, s3_bucket)
    bench.write("large.bin", os.urandom(11 * MIB))
    s3_bucket.proxy.faults = Faults(lost_complete=1.0, limit=1)
    (outcome,) = bench.run(memory_bytes=4 * MIB)
    assert outcome.status == "sent"
    assert s3_bucket.proxy.faults.kinds == {"lost_complete": 1}
    store = s3_bucket.store("home")
    [(key, _)] = store.iter_versions("media/")
    assert key == outcome.uri
    assert hashlib.sha256(store.get(key)).hexdigest() == outcome.sha256
    assert not list(iter_uploads(store, ""))


@pytest.mark.parametrize("size", [2000, 11 * MIB])
def test_a_bit_flipped_on_the_way_is_sent_again(
    bench: Bench, s3_bucket: S3Bucket, size: int
) -> None:
    in_bucket(bench, s3_bucket)
    assert bench.home.store.checks_sha256  # type: ignore[attr-defined]
    data = os.urandom(size)
    bench.write("a.bin", data)
    s3_bucket.proxy.reset()  # of that question, which is a lie that the server refuses
    s3_bucket.proxy.faults = Faults(flip=1.0, limit=1)
    (outcome,) = bench.run(memory_bytes=4 * MIB)
    assert (outcome.status, s3_bucket.proxy.faults.kinds) == ("sent", {"flip": 1})
    refused = [r.status for r in s3_bucket.proxy.requests if r.method == "PUT" and r.status != 200]
    assert refused == [400], "the server saw it, and took nothing"
    assert bench.home.read_media(str(outcome.uri)) == data
    assert len(list(s3_bucket.store("home").iter_versions("media/"))) == 1


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


class CountingStore(LocalStore):
    """A folder whose reads are counted; from the second on a file may have other bytes."""

    reads = 0
    later: bytes | None = None

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        self.reads += 1
        data = super().get(key, start=start, length=length)
        return data if self.later is None or self.reads == 1 else self.later


@pytest.mark.parametrize("rotten", [False, True])
def test_after_a_mismatch_the_source_is_read_again_and_only_equal_bytes_are_sent(
    bench: Bench, s3_bucket: S3Bucket, rotten: bool
) -> None:
    in_bucket(bench, s3_bucket)
    assert bench.home.store.checks_sha256  # type: ignore[attr-defined]
    data = os.urandom(2000)
    bench.write("a.bin", data)
    bench.store = store = CountingStore(bench.folder)
    store.later = os.urandom(2000) if rotten else None  # the same size and time
    s3_bucket.proxy.faults = Faults(flip=1.0, limit=1)
    (outcome,) = bench.run()
    assert store.reads == 2
    if rotten:
        assert (outcome.status, outcome.kind) == ("deferred", "source-changed")
        assert s3_bucket.proxy.stored("/media/") == {}
    else:
        assert outcome.status == "sent"
        assert bench.home.read_media(str(outcome.uri)) == data


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
    (outcome,) = bench.run()
    assert (outcome.file.path, outcome.status) == ("growing.bin", "sent")
    whole = b"growing.bin" * 100 + b"more"
    assert bench.home.read_media(str(outcome.uri)) == whole
    held = {info.key[-64:] for info in bench.home.store.list("media/")}
    wanted = (b"a.bin" * 100, b"z.bin" * 100, whole)
    assert held == {hashlib.sha256(data).hexdigest() for data in wanted}, "no half of it"


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
    with open_ledger(bench.home.state, bench.home.url) as ledger:
        assert list(ledger.dead_letters()) == []
        assert not [row for _, row in ledger.rows() if row.attempts], "no file is charged with it"
    outcomes = bench.run()
    assert (totals(outcomes).planned, totals(outcomes).sent) == (40, 40)


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
