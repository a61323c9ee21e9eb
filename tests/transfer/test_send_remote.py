"""Large files of servers go part by part into the bucket, and never onto the disk."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from services.s3_endpoint import S3Bucket, S3Endpoint
from services.web import Web, WebFile
from transfer_bench import Bench, make_bench

from trainset.errors import TransientError
from trainset.home import Home, open_home
from trainset.spec import MediaSource
from trainset.stores import open_source
from trainset.stores.held import hash_object
from trainset.stores.s3 import S3Store
from trainset.transfer import send_remote

MIB = 2**20
DATA = hashlib.shake_256(b"large").digest(12 * MIB + 7)  # three parts of 5 MiB
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def home(s3_bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("TRAINSET_STATE", str(tmp_path / "state"))
    url = f"{s3_bucket.url}/home"
    home = open_home(url, credentials=s3_bucket.endpoint.credentials, create=True)
    home.store = s3_bucket.store("home", multipart_bytes=5 * MIB)
    return home


@pytest.fixture
def elsewhere(home: Home, s3_endpoint: S3Endpoint, tmp_path: Path) -> Bench:
    """A source bucket behind another endpoint: the store cannot copy from it."""
    bench = make_bench(tmp_path, home)
    raw = s3_endpoint.new_bucket()
    keys = s3_endpoint.credentials.model_copy(update={"endpoint": s3_endpoint.server.url})
    bench.store = S3Store(raw.name, "raw", keys)
    return bench


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.stop()


def parts(bucket: S3Bucket) -> Counter[str]:
    """How often each part was taken."""
    return Counter(
        r.query.split("partNumber=")[1].split("&")[0]
        for r in bucket.proxy.requests
        if r.method == "PUT" and "partNumber=" in r.query and r.status == 200
    )


def test_a_large_object_of_another_endpoint_is_streamed(
    elsewhere: Bench, s3_bucket: S3Bucket
) -> None:
    elsewhere.store.put("big.bin", DATA)
    (outcome,) = elsewhere.run(memory_bytes=MIB)
    assert (outcome.status, outcome.sha256) == ("sent", SHA256)
    assert str(outcome.uri).startswith("media/u/")
    assert outcome.moved_bytes == len(DATA)
    assert elsewhere.home.read_media(str(outcome.uri), outcome.version_id) == DATA
    assert parts(s3_bucket) == {"1": 1, "2": 1, "3": 1}
    assert not (elsewhere.home.state / "spool").exists()
    assert elsewhere.run(memory_bytes=MIB) == []


def test_a_streamed_upload_goes_on_where_it_was_cut_off(
    elsewhere: Bench, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainset.stores import s3_pinned

    elsewhere.store.put("big.bin", DATA)
    read_range = s3_pinned.read_range

    def broken(store: S3Store, key: str, pin: str, start: int, length: int) -> bytes:
        if start >= 10 * MIB:
            while len(parts(s3_bucket)) < 2:  # those before it have arrived
                time.sleep(0.01)
            raise TransientError("the network went away")
        return read_range(store, key, pin, start, length)

    with monkeypatch.context() as patched:
        patched.setattr(s3_pinned, "read_range", broken)
        (outcome,) = elsewhere.run(memory_bytes=MIB)
        assert (outcome.status, outcome.kind) == ("deferred", "transient")
    (outcome,) = elsewhere.run(memory_bytes=MIB)
    assert (outcome.status, outcome.sha256) == ("sent", SHA256)
    assert parts(s3_bucket) == {"1": 1, "2": 1, "3": 1}
    assert elsewhere.home.read_media(str(outcome.uri)) == DATA


def test_a_process_that_is_killed_while_it_streams_is_resumed_by_the_next(
    elsewhere: Bench, s3_bucket: S3Bucket
) -> None:
    data = hashlib.shake_256(b"killed").digest(100 * MIB)  # parts of 16 MiB
    elsewhere.store.put_file("big.bin", _file(elsewhere, data))
    source = elsewhere.store
    assert isinstance(source, S3Store)
    keys = s3_bucket.endpoint.credentials
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(elsewhere.root), elsewhere.home.url, source.bucket],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "KEY_ID": keys.key_id,
            "SECRET": keys.application_key.get_secret_value(),
            "ENDPOINT": keys.endpoint,
            "DIRECT": s3_bucket.endpoint.server.url,
        },
    )
    give_up = time.monotonic() + 120
    while len(parts(s3_bucket)) < 3:
        assert child.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()
    elsewhere.home.store = s3_bucket.store("home")
    (outcome,) = elsewhere.run(memory_bytes=MIB)
    assert outcome.sha256 == hashlib.sha256(data).hexdigest()
    sent = parts(s3_bucket)
    assert len(sent) == 7
    assert sum(sent.values()) <= 7 + 4  # what was on the wire when it died may have gone twice
    begun = [r for r in s3_bucket.proxy.requests if r.method == "POST" and "uploads" in r.query]
    assert len(begun) == 1
    s3_bucket.purge()


_CHILD = """
import os, sys
from pathlib import Path
from pydantic import SecretStr
from transfer_bench import make_bench
from trainset.home import open_home
from trainset.model import Credentials
from trainset.stores.s3 import S3Store
root, url, bucket = sys.argv[1:]
secret = SecretStr(os.environ["SECRET"])
def keys(endpoint):
    return Credentials(key_id=os.environ["KEY_ID"], application_key=secret, endpoint=endpoint)
bench = make_bench(Path(root), open_home(url, credentials=keys(os.environ["ENDPOINT"])))
bench.store = S3Store(bucket, "raw", keys(os.environ["DIRECT"]))
bench.run(memory_bytes=2**20)
"""


def _file(bench: Bench, data: bytes) -> Path:
    path = bench.root / "big.bin"
    path.write_bytes(data)
    return path


def test_equal_bytes_that_are_there_win_and_the_stream_is_deleted(elsewhere: Bench) -> None:
    elsewhere.store.put("a.bin", DATA)
    (first,) = elsewhere.run()  # small enough for memory: named by its sha256
    assert first.uri == f"media/{SHA256[:2]}/{SHA256}"
    elsewhere.store.put("b.bin", DATA)
    (second,) = elsewhere.run(memory_bytes=MIB)
    assert (second.status, second.uri, second.sha256) == ("duplicate", first.uri, SHA256)
    assert "is deleted" in str(second.reason)
    assert [info.key for info in elsewhere.home.store.list("media/")] == [first.uri]


def test_equal_streams_become_one_object(elsewhere: Bench) -> None:
    elsewhere.store.put("a.bin", DATA)
    elsewhere.store.put("b.bin", DATA)
    outcomes = elsewhere.run(memory_bytes=MIB)
    assert sorted(o.status for o in outcomes) == ["duplicate", "sent"]
    assert len({o.uri for o in outcomes}) == 1
    kept = str(outcomes[0].uri)
    assert [info.key for info in elsewhere.home.store.list("media/")] == [kept, f"{kept}.{SHA256}"]


def test_after_a_lost_ledger_a_stream_is_found_and_neither_sent_nor_read(
    elsewhere: Bench, s3_bucket: S3Bucket
) -> None:
    elsewhere.store.put("big.bin", DATA)
    (first,) = elsewhere.run(memory_bytes=MIB, merge=False)
    for path in elsewhere.home.state.glob("ledger.sqlite*"):
        path.unlink()
    s3_bucket.proxy.reset()
    (again,) = elsewhere.run(memory_bytes=MIB, merge=False)
    assert (again.status, again.uri, again.sha256) == ("duplicate", first.uri, SHA256)
    assert (again.moved_bytes, again.version_id) == (0, first.version_id)
    assert not parts(s3_bucket)
    assert not [r for r in s3_bucket.proxy.requests if r.method == "GET" and "/u/" in r.path]


def test_after_a_lost_ledger_a_copy_from_elsewhere_finds_the_stream_by_its_content(
    elsewhere: Bench, s3_bucket: S3Bucket
) -> None:
    elsewhere.store.put("big.bin", DATA)
    (first,) = elsewhere.run(memory_bytes=MIB)
    for path in elsewhere.home.state.glob("ledger.sqlite*"):
        path.unlink()
    elsewhere.store.put("copy.bin", DATA)
    s3_bucket.proxy.reset()
    (copy,) = elsewhere.run()  # read whole: its sha256 is known before anything is sent
    assert (copy.status, copy.uri, copy.moved_bytes) == ("duplicate", first.uri, 0)
    assert not s3_bucket.proxy.stored("/media/")


def test_a_stream_whose_note_was_never_written_gets_it_by_reading_both(elsewhere: Bench) -> None:
    elsewhere.store.put("big.bin", DATA)
    (first,) = elsewhere.run(memory_bytes=MIB, merge=False)
    note = f"{first.uri}.{SHA256}"
    elsewhere.home.store.delete(note)
    for path in elsewhere.home.state.glob("ledger.sqlite*"):
        path.unlink()
    (again,) = elsewhere.run(memory_bytes=MIB, merge=False)
    assert (again.uri, again.sha256, again.moved_bytes) == (first.uri, SHA256, 0)
    assert elsewhere.home.store.head(note) is not None


def test_the_version_that_the_outcome_names_holds_the_bytes(elsewhere: Bench) -> None:
    elsewhere.store.put("big.bin", DATA)
    (outcome,) = elsewhere.run(memory_bytes=MIB)
    size, found = hash_object(elsewhere.home.store, str(outcome.uri), outcome.version_id)
    assert (size, found) == (len(DATA), SHA256)


def of_the_web(home: Home, tmp_path: Path, web: Web) -> Bench:
    bench = make_bench(tmp_path, home)
    (tmp_path / "urls.txt").write_text(f"{web.url}/big.bin\n")
    spec = {"name": "cam", "from": str(tmp_path / "urls.txt")}
    bench.spec = MediaSource.model_validate(spec)
    bench.store = open_source(bench.spec.from_)
    return bench


def test_a_large_file_of_a_web_server_is_streamed_in_ranges(
    home: Home, tmp_path: Path, web: Web, s3_bucket: S3Bucket
) -> None:
    web.files["/big.bin"] = WebFile(DATA)
    bench = of_the_web(home, tmp_path, web)
    (outcome,) = bench.run(memory_bytes=MIB)
    assert (outcome.status, outcome.sha256) == ("sent", SHA256)
    assert str(outcome.uri).startswith("media/u/")
    assert bench.home.read_media(str(outcome.uri)) == DATA
    assert parts(s3_bucket) == {"1": 1, "2": 1, "3": 1}
    assert not (home.state / "spool").exists()


@pytest.mark.parametrize(
    "odd", [{"etag": None, "modified": None}, {"ranges": False}, {"etag": 'W/"weak"'}]
)
def test_a_server_that_pins_nothing_or_sends_no_ranges_is_spooled(
    home: Home, tmp_path: Path, web: Web, odd: dict[str, object]
) -> None:
    web.files["/big.bin"] = WebFile(DATA, **odd)  # type: ignore[arg-type]
    bench = of_the_web(home, tmp_path, web)
    (outcome,) = bench.run(memory_bytes=MIB)
    assert (outcome.status, outcome.sha256) == ("sent", SHA256)
    assert outcome.uri == f"media/{SHA256[:2]}/{SHA256}"


def test_a_file_that_changes_while_it_is_streamed_is_not_mixed(
    home: Home, tmp_path: Path, web: Web, s3_bucket: S3Bucket
) -> None:
    web.files["/big.bin"] = WebFile(DATA)
    bench = of_the_web(home, tmp_path, web)

    look_into = send_remote.look_into

    def look(*arguments: object) -> object:
        found = look_into(*arguments)  # type: ignore[arg-type]
        web.files["/big.bin"] = WebFile(DATA[::-1])
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(send_remote, "look_into", look)
        (outcome,) = bench.run(memory_bytes=MIB)
    assert outcome.status == "deferred"
    assert list(home.store.list("media/")) == []
    bench.store = open_source(bench.spec.from_)
    (outcome,) = bench.run(memory_bytes=MIB)
    assert outcome.sha256 == hashlib.sha256(DATA[::-1]).hexdigest()
