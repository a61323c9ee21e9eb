"""What a transfer promises of every file."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from services.b2_strict import Faults
from services.s3_endpoint import S3Bucket
from transfer_bench import Bench, make_bench, ordinary_user, statuses, totals

from trainset.errors import AccessDenied, StoreFull, TransientError
from trainset.home import open_home
from trainset.model import MediaFacts
from trainset.stores.local import LocalStore
from trainset.transfer.base import transfer_left_out


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_files_arrive_under_their_hash_with_their_facts(any_bench: Bench) -> None:
    any_bench.write("a/1.txt", b"one")
    any_bench.write("2.bin", b"two" * 1000)
    outcomes = any_bench.run()
    assert statuses(outcomes) == {"2.bin": "sent", "a/1.txt": "sent"}
    for outcome, data in zip(outcomes, (b"two" * 1000, b"one"), strict=True):
        assert outcome.sha256 == sha256(data)
        assert outcome.uri == f"media/{outcome.sha256[:2]}/{outcome.sha256}"
        assert any_bench.home.read_media(outcome.uri) == data
        assert outcome.facts is not None
        assert outcome.file.key == f"cam/{outcome.file.path}"
    assert totals(outcomes).bytes == 3003


def test_a_second_run_sends_nothing_and_reads_nothing(any_bench: Bench) -> None:
    for i in range(5):
        any_bench.write(f"{i}.bin", bytes([i]) * 100)
    any_bench.run()
    assert any_bench.run() == []
    assert len(any_bench.probed) == 5


def test_rows_lost_on_main_come_back_without_reading_or_sending(any_bench: Bench) -> None:
    for i in range(5):
        any_bench.write(f"{i}.bin", bytes([i]) * 100)
    first = any_bench.run(merge=False)  # a refused gate, a rollback, a killed run
    again = any_bench.run()
    assert set(statuses(again).values()) == {"skipped"}
    assert totals(again).bytes == 0
    assert len(any_bench.probed) == 5
    for before, after in zip(first, again, strict=True):
        assert (after.sha256, after.uri, after.facts) == (before.sha256, before.uri, before.facts)
        assert after.version_id == before.version_id


def test_without_the_ledger_files_are_read_but_not_sent(any_bench: Bench) -> None:
    any_bench.write("a.bin", b"a")
    any_bench.run(merge=False)
    for path in any_bench.home.state.glob("ledger.sqlite*"):
        path.unlink()
    again = any_bench.run()
    assert statuses(again) == {"a.bin": "duplicate"}
    assert totals(again).bytes == 0


def test_what_was_removed_from_the_home_is_sent_again(any_bench: Bench) -> None:
    any_bench.write("a.bin", b"a")
    (first,) = any_bench.run(merge=False)
    assert first.uri is not None
    any_bench.home.store.delete(first.uri)
    assert statuses(any_bench.run()) == {"a.bin": "sent"}
    assert any_bench.home.read_media(first.uri) == b"a"


def test_equal_files_are_sent_once_by_however_many_threads(any_bench: Bench) -> None:
    for i in range(24):
        any_bench.write(f"{i}.bin", b"same" * 5000)
    outcomes = any_bench.run(threads=12)
    assert totals(outcomes).sent == 1
    assert totals(outcomes).duplicate == 23
    assert totals(outcomes).bytes == 20_000
    assert {o.uri for o in outcomes} == {any_bench.home.media_uri(sha256(b"same" * 5000))}


def test_only_new_and_changed_files_move(bench: Bench) -> None:
    bench.write("old.bin", b"old")
    changed = bench.write("changed.bin", b"before")
    bench.run()
    changed.write_bytes(b"after!")
    os.utime(changed, ns=(1, 1))
    bench.write("new.bin", b"new")
    assert statuses(bench.run()) == {"changed.bin": "sent", "new.bin": "sent"}


def test_a_touched_file_is_a_duplicate(bench: Bench) -> None:
    path = bench.write("a.bin", b"a")
    bench.run()
    os.utime(path, ns=(5, 5))
    assert statuses(bench.run()) == {"a.bin": "duplicate"}


class ChangingStore(LocalStore):
    """A folder whose files change while they are read."""

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        data = super().get(key, start=start, length=length)
        self.local_path(key).write_bytes(b"grown " + data)
        return data

    def open(self, key: str) -> Any:
        handle = super().open(key)
        self.local_path(key).write_bytes(b"grown " + self.local_path(key).read_bytes())
        return handle


@pytest.mark.parametrize("memory_bytes", [2**20, 0])
def test_a_file_that_changes_while_it_is_read_waits(bench: Bench, memory_bytes: int) -> None:
    bench.write("a.bin", b"a" * 100)
    bench.write("b.bin", b"b" * 100)
    bench.store = ChangingStore(bench.folder)
    outcomes = bench.run(memory_bytes=memory_bytes)
    assert {(o.status, o.kind) for o in outcomes} == {("deferred", "source-changed")}
    assert [left.key for left in transfer_left_out(outcomes)] == ["cam/a.bin", "cam/b.bin"]
    assert list(bench.home.store.list("media/")) == []
    bench.store = LocalStore(bench.folder)
    assert set(statuses(bench.run()).values()) == {"sent"}


def test_a_file_that_changes_between_hash_and_send_waits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.write("a.bin", b"a" * 100)

    def changing_probe(data: bytes | Path, name: str) -> MediaFacts:
        path.write_bytes(b"c" * 100)
        return MediaFacts(mime="application/octet-stream", modality="other")

    monkeypatch.setattr(bench, "probe", changing_probe)
    (outcome,) = bench.run(memory_bytes=0)
    assert (outcome.status, outcome.kind) == ("deferred", "source-changed")
    assert list(bench.home.store.list("media/")) == []


@pytest.mark.parametrize("where", ["local", "s3"])
def test_large_files_are_streamed_from_folder_and_bucket(
    any_bench: Bench, where: str, s3_bucket: S3Bucket
) -> None:
    data = os.urandom(5000)
    if where == "s3":
        any_bench.store = s3_bucket.store("raw")
        any_bench.store.put("big.bin", data)
    else:
        any_bench.write("big.bin", data)
    (outcome,) = any_bench.run(memory_bytes=1000)
    assert (outcome.status, outcome.sha256) == ("sent", sha256(data))
    assert any_bench.home.read_media(str(outcome.uri)) == data
    spool = any_bench.home.state / "spool"
    assert not spool.exists() or list(spool.iterdir()) == []
    assert any_bench.run() == []


def test_a_bucket_as_source(bench: Bench, s3_bucket: S3Bucket) -> None:
    bench.store = s3_bucket.store("raw")
    for key in ("a.bin", "x/b.bin", "x/.hidden", "x/"):
        bench.store.put(key, key.encode() if not key.endswith("/") else b"")
    assert statuses(bench.run()) == {"a.bin": "sent", "x/b.bin": "sent"}
    bench.rows.clear()
    s3_bucket.proxy.reset()
    assert set(statuses(bench.run()).values()) == {"skipped"}
    assert [r for r in s3_bucket.proxy.requests if "list-type" not in r.query] == []


def test_unreadable_and_dangling_files_are_told_and_the_rest_arrives() -> None:
    with ordinary_user() as folder:
        bench = make_bench(folder, open_home(str(folder / "home"), create=True))
        bench.write("good.bin", b"good")
        bench.write("locked.bin", b"x").chmod(0)
        (bench.folder / "dangling.bin").symlink_to("nowhere")
        (bench.folder / "circle.bin").symlink_to("circle.bin")
        outcomes = {o.file.path: o for o in bench.run()}
    assert {p: (o.status, o.kind) for p, o in outcomes.items()} == {
        "good.bin": ("sent", None),
        "locked.bin": ("failed", "access-denied"),
        "dangling.bin": ("deferred", "not-found"),
        "circle.bin": ("failed", "input"),
    }
    for path in ("locked.bin", "dangling.bin", "circle.bin"):
        assert path in str(outcomes[path].reason)


def test_a_name_that_is_not_unicode_arrives(bench: Bench) -> None:
    (bench.folder / os.fsdecode(b"caf\xe9.bin")).write_bytes(b"latin-1")
    (outcome,) = bench.run()
    assert (outcome.file.key, outcome.status) == ("cam/caf\\xe9.bin", "sent")
    assert bench.home.read_media(str(outcome.uri)) == b"latin-1"


class FullStore(LocalStore):
    """A home whose disk is full."""

    calls = 0

    def put_file(self, *args: Any, **kwargs: Any) -> Any:
        FullStore.calls += 1
        raise StoreFull("no space left; free some")


def test_a_full_disk_ends_the_run_at_once(bench: Bench) -> None:
    for i in range(200):
        bench.write(f"{i}.bin", str(i).encode())
    bench.home.store = FullStore(Path(bench.home.url))
    with pytest.raises(StoreFull):
        bench.run(threads=4)
    assert FullStore.calls <= 8


def test_refused_credentials_end_the_run(bench: Bench, s3_bucket: S3Bucket) -> None:
    bench.write("a.bin", b"a")
    wrong = s3_bucket.endpoint.credentials.model_copy(update={"key_id": "nobody"})
    bench.home.store = type(s3_bucket.store())(s3_bucket.name, "", wrong)
    if s3_bucket.endpoint.kind == "moto":
        pytest.skip("moto takes every key")
    with pytest.raises(AccessDenied, match=r"refuses|does not take this key"):
        bench.run()


class DownStore(LocalStore):
    """A home that answers nothing but time-outs."""

    def head(self, key: str) -> Any:
        raise TransientError("time-out; run again")


def test_a_home_that_is_down_ends_the_batch_as_transient(bench: Bench) -> None:
    for i in range(50):
        bench.write(f"{i}.bin", str(i).encode())
    bench.home.store = DownStore(Path(bench.home.url))
    with pytest.raises(TransientError, match="in a row"):
        bench.run(threads=2)


def test_faults_in_a_third_of_requests_lose_nothing(bench: Bench, s3_bucket: S3Bucket) -> None:
    bench.home.store = s3_bucket.store("home")
    for i in range(60):
        bench.write(f"{i}.bin", bytes([i]) * 2000)
    faults = Faults(slow_down=0.1, retry_after="0", reset=0.1, lost_reply=0.1, seed=3)
    s3_bucket.proxy.faults = faults
    outcomes = bench.run(threads=8)
    s3_bucket.proxy.faults = Faults()
    assert faults.injected >= 15
    assert totals(outcomes).sent == 60
    for outcome in outcomes:
        assert sha256(bench.home.read_media(str(outcome.uri))) == outcome.sha256
    # A lost reply is looked up, not repeated: no object has a second version.
    assert set(s3_bucket.proxy.stored("/media/").values()) == {1}


def test_the_reply_of_the_store_is_kept_of_what_was_sent_and_of_what_was_not(
    bench: Bench, s3_bucket: S3Bucket
) -> None:
    bench.home.store = s3_bucket.store("home")
    bench.write("a.bin", b"a")
    (sent,) = bench.run()
    assert sent.reply is not None
    assert sent.reply.status == 200
    assert sent.reply.request_id
    bench.write("b.bin", b"a")
    assert [o.reply for o in bench.run() if o.status == "duplicate"] == [None], "nothing was sent"
    bench.write("c.bin", b"c")
    s3_bucket.proxy.faults = Faults(internal_error=1.0, methods=frozenset({"PUT"}))
    (waiting,) = bench.run(merge=False)
    s3_bucket.proxy.faults = Faults()
    assert waiting.status == "deferred"
    assert waiting.reply is not None
    assert (waiting.reply.status, waiting.reply.code) == (500, "InternalError")


def test_progress_counts_every_file_and_byte(bench: Bench) -> None:
    for i in range(7):
        bench.write(f"{i}.bin", bytes([i]) * 10)
    seen: list[tuple[int, int, str]] = []
    bench.run(progress=lambda f, b: seen.append((f, b, threading.current_thread().name)))
    assert (sum(s[0] for s in seen), sum(s[1] for s in seen)) == (7, 70)
    assert {s[2] for s in seen} == {threading.current_thread().name}
