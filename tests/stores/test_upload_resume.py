"""Uploads in parts: killed and taken up again, forgotten by the store, of a file that changed."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from services.b2_strict import Faults
from services.s3_endpoint import S3Bucket

from trainset.errors import ChecksumMismatch, SourceChanged, TransientError
from trainset.stores.base import PartLog
from trainset.stores.parts import hash_parts
from trainset.stores.s3 import S3Store
from trainset.transfer.ledger import SqliteLedger

MIB = 2**20
PART = 5 * MIB
KILL_AFTER = 2  # parts

# Uploads a file, or a source of ranges, and dies when two parts are noted.
DYING = f"""
import os, signal, sys
from pathlib import Path
from services.dying import die_after
from trainset.model import Credentials
from trainset.stores.s3 import S3Store
from trainset.transfer.ledger import SqliteLedger
from hashlib import sha256
bucket, endpoint, key_id, secret, path, ledger, how = sys.argv[1:]
credentials = Credentials(key_id=key_id, application_key=secret, endpoint=endpoint)
store = S3Store(bucket, "", credentials, multipart_bytes={PART})
die_after("trainset.transfer.ledger.sqlite_parts:SqlitePartLog.note", {KILL_AFTER})
log, data = SqliteLedger(Path(ledger)).part_log(), Path(path).read_bytes()
if how == "file":
    store.put_file("big", Path(path), sha256=sha256(data).hexdigest(), parts=log)
else:
    store.put_ranges("big", len(data), lambda a, n: data[a : a + n], parts=log)
"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PartLog]:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    yield ledger.part_log()
    ledger.close()


@pytest.fixture
def store(s3_bucket: S3Bucket) -> S3Store:
    return s3_bucket.store(multipart_bytes=PART)


def put(store: S3Store, data: bytes, path: Path, how: str, log: PartLog | None) -> str:
    """Store ``data`` as "big"; how: file, hashed (a file whose hashes are known) or ranges."""
    if how == "ranges":
        info, found = store.put_ranges("big", len(data), lambda a, n: data[a : a + n], parts=log)
        assert info.size == len(data)
        return found
    path.write_bytes(data)
    with open(path, "rb") as handle:
        whole, hashes = hash_parts(handle, PART)
    hashes = hashes if how == "hashed" else ()
    store.put_file("big", path, sha256=whole, part_hashes=hashes, parts=log)
    return whole


def part_puts(bucket: S3Bucket) -> list[str]:
    """Numbers of the parts that were sent with success, in order of number."""
    queries = [r.query for r in bucket.proxy.requests if r.method == "PUT" and r.status == 200]
    return sorted(q.split("partNumber=")[1].split("&")[0] for q in queries if "partNumber" in q)


def uploads_left(store: S3Store) -> int:
    return len(store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", ()))


@pytest.mark.parametrize("how", ["file", "ranges"])
def test_a_killed_upload_sends_no_finished_part_again(
    s3_bucket: S3Bucket, store: S3Store, tmp_path: Path, how: str
) -> None:
    data = os.urandom(4 * PART + 99)
    (tmp_path / "f").write_bytes(data)
    endpoint = s3_bucket.endpoint
    s3_bucket.proxy.faults = Faults(slow=0.1)  # so that the kill finds parts under way
    arguments = [s3_bucket.name, endpoint.url, endpoint.key_id, endpoint.secret]
    files = [str(tmp_path / "f"), str(tmp_path / "ledger.sqlite"), how]
    folders = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    killed = subprocess.run(
        [sys.executable, "-c", DYING, *arguments, *files],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    log, uri = ledger.part_log(), store.uri("big")
    noted = {str(part.number) for part in log.parts(uri)}
    assert len(noted) >= KILL_AFTER
    s3_bucket.proxy.reset()
    assert put(store, data, tmp_path / "f", how, log) == sha256(data)
    # A part that was under way when its sender died may arrive now, besides.
    assert set(part_puts(s3_bucket)) == {"1", "2", "3", "4", "5"} - noted
    assert store.get("big") == data
    assert (log.find(uri), log.parts(uri), uploads_left(store)) == (None, [], 0)
    assert len(store.list_versions("big")) == 1
    ledger.close()


def fails_midway(store: S3Store, bucket: S3Bucket, run: Callable[[], object]) -> None:
    """Run an upload for which the network is gone after two parts."""
    original, number = store.sender.upload_part, itertools.count()

    def broken(*arguments: object) -> str:
        if next(number) >= KILL_AFTER:
            raise ConnectionError("the network is gone")
        return original(*arguments)  # type: ignore[arg-type]

    store.sender.upload_part = broken  # type: ignore[assignment, method-assign]
    store._retrier.attempts = 1
    with pytest.raises(TransientError):
        run()
    store.sender.upload_part = original  # type: ignore[method-assign]
    store._retrier.attempts = 12
    bucket.proxy.reset()


@pytest.mark.parametrize("how", ["file", "hashed", "ranges"])
def test_without_a_log_a_failed_upload_is_taken_back(
    s3_bucket: S3Bucket, store: S3Store, tmp_path: Path, how: str
) -> None:
    data = os.urandom(3 * PART)
    fails_midway(store, s3_bucket, lambda: put(store, data, tmp_path / "f", how, None))
    assert uploads_left(store) == 0
    assert store.head("big") is None


@pytest.mark.parametrize("how", ["file", "hashed", "ranges"])
def test_with_a_log_a_failed_upload_waits_and_goes_on(
    s3_bucket: S3Bucket, store: S3Store, tmp_path: Path, log: PartLog, how: str
) -> None:
    data = os.urandom(3 * PART)
    fails_midway(store, s3_bucket, lambda: put(store, data, tmp_path / "f", how, log))
    noted = {str(part.number) for part in log.parts(store.uri("big"))}
    assert uploads_left(store) == 1
    assert put(store, data, tmp_path / "f", how, log) == sha256(data)
    assert part_puts(s3_bucket) == sorted({"1", "2", "3"} - noted)
    assert store.get("big") == data


@pytest.mark.parametrize("how", ["hashed", "ranges"])
def test_an_upload_that_the_store_forgot_begins_anew(
    s3_bucket: S3Bucket, store: S3Store, tmp_path: Path, log: PartLog, how: str
) -> None:
    data = os.urandom(3 * PART)
    fails_midway(store, s3_bucket, lambda: put(store, data, tmp_path / "f", how, log))
    known = log.find(store.uri("big"))
    assert known is not None
    store.named("abort_multipart_upload", "big", UploadId=known.upload_id)
    assert put(store, data, tmp_path / "f", how, log) == sha256(data)
    assert part_puts(s3_bucket) == ["1", "2", "3"]
    assert store.get("big") == data


@pytest.mark.parametrize("how", ["file", "hashed", "ranges"])
def test_an_upload_that_is_lost_under_way_begins_anew(
    s3_bucket: S3Bucket, store: S3Store, tmp_path: Path, log: PartLog, how: str
) -> None:
    data = os.urandom(3 * PART)
    original, lost = store.sender.upload_part, []

    def losing(name: str, upload_id: str, number: int, *rest: object) -> str:
        if not lost and number == 2:
            lost.append(upload_id)
            store.named("abort_multipart_upload", name, UploadId=upload_id)
        return original(name, upload_id, number, *rest)  # type: ignore[arg-type]

    store.sender.upload_part = losing  # type: ignore[assignment, method-assign]
    assert put(store, data, tmp_path / "f", how, log) == sha256(data)
    assert lost
    assert store.get("big") == data
    assert uploads_left(store) == 0


def test_other_bytes_under_the_same_key_take_the_old_upload_back(
    s3_bucket: S3Bucket, store: S3Store, tmp_path: Path, log: PartLog
) -> None:
    old, new = os.urandom(3 * PART), os.urandom(3 * PART)
    fails_midway(store, s3_bucket, lambda: put(store, old, tmp_path / "f", "hashed", log))
    other = store.named("create_multipart_upload", "big")["UploadId"]  # not ours
    put(store, new, tmp_path / "f", "hashed", log)
    assert store.get("big") == new
    left = store.client.list_multipart_uploads(Bucket=store.bucket)["Uploads"]
    assert [upload["UploadId"] for upload in left] == [other]


def test_parts_of_a_changed_source_are_sent_again(
    s3_bucket: S3Bucket, store: S3Store, tmp_path: Path, log: PartLog
) -> None:
    old = os.urandom(3 * PART)
    fails_midway(store, s3_bucket, lambda: put(store, old, tmp_path, "ranges", log))
    new = old[:-1] + b"!"
    new = bytes([new[0] ^ 1]) + new[1:]
    assert put(store, new, tmp_path, "ranges", log) == sha256(new)
    assert store.get("big") == new


def test_a_file_that_changed_is_told_and_its_upload_taken_back(
    s3_bucket: S3Bucket, store: S3Store, tmp_path: Path, log: PartLog
) -> None:
    promised, found = os.urandom(3 * PART), os.urandom(3 * PART)
    with open(tmp_path / "p", "wb") as handle:
        handle.write(promised)
    with open(tmp_path / "p", "rb") as handle:
        whole, hashes = hash_parts(handle, PART)
    (tmp_path / "f").write_bytes(found)
    for known in (hashes, ()):
        with pytest.raises(ChecksumMismatch) as caught:
            store.put_file("big", tmp_path / "f", sha256=whole, part_hashes=known, parts=log)
        assert (caught.value.expected, caught.value.found) == (whole, sha256(found))
        assert (uploads_left(store), log.find(store.uri("big"))) == (0, None)
    with pytest.raises(SourceChanged):
        store.put_ranges("big", 3 * PART, lambda a, n: found[a : a + n - 1], parts=log)
    assert (uploads_left(store), store.head("big")) == (0, None)


def test_a_finished_upload_that_nobody_noted_is_not_sent_again(
    s3_bucket: S3Bucket, store: S3Store, tmp_path: Path, log: PartLog
) -> None:
    data = os.urandom(2 * PART)
    original = log.end
    log.end = lambda uri: None  # type: ignore[method-assign]  # killed before
    put(store, data, tmp_path / "f", "hashed", log)
    log.end = original  # type: ignore[method-assign]
    assert log.find(store.uri("big")) is not None
    s3_bucket.proxy.reset()
    put(store, data, tmp_path / "f", "hashed", log)
    assert s3_bucket.proxy.counts == {"HEAD": 1}
    assert log.find(store.uri("big")) is None
