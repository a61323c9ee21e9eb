"""The copy of an SQLite ledger in the home's bucket."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_files import ELSEWHERE, file, sent
from services.postgres import Postgres
from services.s3_endpoint import S3Bucket

from trainset.stores.base import Part, Upload
from trainset.stores.local import LocalStore
from trainset.transfer.base import failed
from trainset.transfer.ledger import (
    Content,
    SqliteLedger,
    copy_to_store,
    fetch_from_store,
    open_ledger,
)
from trainset.transfer.ledger import copy as copying

KEY = ".state/ledger.sqlite.gz"
NOW = datetime(2026, 11, 25, tzinfo=UTC)


def test_another_machine_goes_on_with_what_the_copy_knows(
    tmp_path: Path, s3_bucket: S3Bucket
) -> None:
    store = s3_bucket.store("home")
    with SqliteLedger(tmp_path / "a" / "l.sqlite") as ledger:
        ledger.record(sent("a"))
        ledger.record(failed(file("d"), "input", "no"), run_id="r", dead=True)
        ledger.claim([file("begun")], owner=ELSEWHERE + "x", lease_s=0)
        ledger.know_contents([("2" * 64, Content("media/22/2", 1, None))])
        upload = Upload(upload_id="u", size=20, part_bytes=10)
        ledger.part_log().begin("media/x", upload)
        ledger.part_log().note("media/x", Part(number=1, size=10, etag="e", sha256="s"))
        assert copy_to_store(ledger, store, now=NOW)
        rows, letters = dict(ledger.rows()), list(ledger.dead_letters())
        story = list(ledger.attempts("/src/d"))
    with SqliteLedger(tmp_path / "b" / "l.sqlite") as other:
        assert other.is_new
        assert fetch_from_store(other, store)
        assert dict(other.rows()) == rows
        assert list(other.dead_letters()) == letters
        assert list(other.attempts("/src/d")) == story
        assert other.claim([file("begun")], owner=ELSEWHERE + "y")[0][:2] == (True, True)
        assert other.find_content("2" * 64) is not None
        assert other.part_log().find("media/x") == upload
        assert len(other.part_log().parts("media/x")) == 1
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["l.sqlite"]


def test_a_ledger_that_knows_something_is_not_fetched_over(
    tmp_path: Path, s3_bucket: S3Bucket
) -> None:
    store = s3_bucket.store("home")
    with SqliteLedger(tmp_path / "a.sqlite") as ledger:
        assert not fetch_from_store(ledger, store)  # there is no copy yet
        ledger.record(sent("a"))
        copy_to_store(ledger, store, now=NOW)
    with SqliteLedger(tmp_path / "b.sqlite") as other:
        other.record(sent("b"))
    with SqliteLedger(tmp_path / "b.sqlite") as other:
        assert not fetch_from_store(other, store)


def test_an_unchanged_ledger_is_not_copied_again(tmp_path: Path, s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store("home")
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        assert not copy_to_store(ledger, store, now=NOW)  # nothing in it
        ledger.record(sent("a"))
        assert copy_to_store(ledger, store, now=NOW)
        ledger.claim([file("b")], owner=ELSEWHERE)  # claims are not worth a copy
        ledger.release(ELSEWHERE)
        assert not copy_to_store(ledger, store, now=NOW)
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        assert not copy_to_store(ledger, store, now=NOW)
        ledger.record(sent("b"))
        assert copy_to_store(ledger, store, now=NOW)
    assert s3_bucket.proxy.stored("/home/.state/") == {f"/{s3_bucket.name}/home/{KEY}": 2}


def test_a_large_ledger_is_copied_every_ten_minutes_at_most(
    tmp_path: Path, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "LARGE_BYTES", 1000)
    store = s3_bucket.store("home")
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        for minute, copied in ((0, True), (1, False), (9, False), (10, True), (19, False)):
            ledger.record(sent(str(minute)))
            assert copy_to_store(ledger, store, now=NOW + timedelta(minutes=minute)) is copied


def test_two_machines_lose_nothing_of_each_other(tmp_path: Path, s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store("home")
    log = Upload(upload_id="ours", size=20, part_bytes=10)
    part = Part(number=1, size=10, etag="e", sha256="s")
    with (
        SqliteLedger(tmp_path / "a.sqlite") as one,
        SqliteLedger(tmp_path / "b.sqlite") as two,
    ):
        one.record(sent("one"))
        one.record(failed(file("both"), "input", "no"))
        one.part_log().begin("media/x", log)
        copy_to_store(one, store, now=NOW)
        two.record(sent("both"))
        two.part_log().begin("media/x", log.model_copy(update={"upload_id": "theirs"}))
        two.part_log().note("media/x", part)
        assert copy_to_store(two, store, now=NOW)
        one.record(sent("more"))
        assert copy_to_store(one, store, now=NOW)
        upload = one.part_log().find("media/x")
        assert upload is not None
        assert upload.upload_id == "ours"
        assert one.part_log().parts("media/x") == []  # not those of another upload
        row = one.find(file("both"))
        assert row is not None
        assert row.arrived
    with SqliteLedger(tmp_path / "c.sqlite") as three:
        assert fetch_from_store(three, store)
        assert {uri for (uri, _, _), _ in three.rows()} == {"/src/one", "/src/both", "/src/more"}


@pytest.mark.parametrize("kind", ["no gzip", "no ledger", "cut off", "bits"])
def test_a_broken_copy_is_left_with_a_warning_and_written_anew(
    tmp_path: Path, s3_bucket: S3Bucket, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    import gzip

    store = s3_bucket.store("home")
    with SqliteLedger(tmp_path / "a.sqlite") as ledger:
        for i in range(300):
            ledger.record(sent(str(i)))
        copy_to_store(ledger, store, now=NOW)
    whole = gzip.decompress(store.get(KEY))
    middle = len(whole) // 2
    broken = {
        "no gzip": b"x" * 1000,
        "no ledger": gzip.compress(b"x" * 9000),
        "cut off": gzip.compress(whole)[:-2000],
        "bits": gzip.compress(whole[:middle] + b"\xff" * 4096 + whole[middle + 4096 :]),
    }[kind]
    store.put(KEY, broken)
    with (
        caplog.at_level(logging.WARNING),
        SqliteLedger(tmp_path / "b.sqlite") as other,
    ):
        assert not fetch_from_store(other, store)
        assert KEY in caplog.text
        assert list(other.rows()) == []
        other.record(sent("b"))
        assert copy_to_store(other, store, now=NOW)
    with SqliteLedger(tmp_path / "c.sqlite") as third:
        assert fetch_from_store(third, store)
        assert third.find(file("b")) is not None


def test_a_folder_and_a_shared_ledger_need_no_copy(
    tmp_path: Path, s3_bucket: S3Bucket, postgres: Postgres
) -> None:
    with SqliteLedger(tmp_path / "l.sqlite") as ledger:
        ledger.record(sent("a"))
        assert not copy_to_store(ledger, LocalStore(tmp_path / "home"), now=NOW)
        assert not fetch_from_store(ledger, LocalStore(tmp_path / "home"))
    with open_ledger(tmp_path, "copied", url=postgres.url()) as shared:
        shared.record(sent("a"))
        assert not copy_to_store(shared, s3_bucket.store("home"), now=NOW)
        assert not fetch_from_store(shared, s3_bucket.store("home"))


def test_others_write_while_a_copy_is_made(tmp_path: Path, s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store("home")
    with (
        SqliteLedger(tmp_path / "l.sqlite") as ledger,
        SqliteLedger(tmp_path / "l.sqlite") as other,
    ):
        for i in range(50):
            ledger.record(sent(f"{i}"))
            other.record(sent(f"other-{i}"))
            if i % 20 == 0:
                other.flush()
                assert copy_to_store(ledger, store, now=NOW)
        other.flush()
        copy_to_store(ledger, store, now=NOW)
    with SqliteLedger(tmp_path / "b.sqlite") as restored:
        fetch_from_store(restored, store)
        assert sum(1 for _ in restored.rows()) == 100
