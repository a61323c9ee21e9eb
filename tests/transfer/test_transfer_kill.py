"""kill -9 in the middle of a transfer, again and again at random points, then the same command."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from services.s3_endpoint import S3Bucket
from transfer_bench import make_bench, totals

from trainset.home import Home, open_home
from trainset.transfer.verify import expected_of, verify_files

KILLS = 20
FILES = 5_000
LARGE_BYTES = 10**9  # 60 parts of 16 MiB
PATIENCE_S = 180.0  # a machine may be busy; a test that hangs ends all the same


class Victim:
    """The transfer as a child process with the credentials of a bucket."""

    def __init__(self, tmp_path: Path, bucket: S3Bucket | None, url: str, threads: int) -> None:
        self._words = [str(tmp_path / "source"), url, str(threads)]
        self._environment = {**os.environ, "TRAINSET_STATE": str(tmp_path / "state")}
        if bucket is not None:
            keys = bucket.endpoint.credentials
            self._environment |= {
                "B2_KEY_ID": keys.key_id,
                "B2_APPLICATION_KEY": keys.application_key.get_secret_value(),
                "TRAINSET_S3_ENDPOINT": keys.endpoint,
            }
        self.kills = 0

    def start(self) -> subprocess.Popen[bytes]:
        here = Path(__file__)
        paths = os.pathsep.join([str(here.parents[1]), str(here.parents[2])])
        child = subprocess.Popen(
            [sys.executable, str(here.with_name("kill_child.py")), *self._words],
            env={**self._environment, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"go\n"
        return child

    def kill_when(self, due: Callable[[], bool]) -> bool:
        """Start, and kill when ``due``; False when the transfer ended before that."""
        child = self.start()
        give_up = time.monotonic() + PATIENCE_S
        while not due():
            if child.poll() is not None:
                assert child.returncode == 0
                return False
            assert time.monotonic() < give_up, "the transfer makes no progress"
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        self.kills += child.wait() == -signal.SIGKILL
        return True

    def finish(self) -> None:
        assert self.start().wait() == 0


def home_of(tmp_path: Path, bucket: S3Bucket, url: str, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("TRAINSET_STATE", str(tmp_path / "state"))
    return open_home(url, credentials=bucket.endpoint.credentials, create=True)


def random_points(rng: random.Random, last: int) -> list[int]:
    return sorted(rng.sample(range(1, last), KILLS))


def test_a_killed_transfer_into_a_folder_ends_whole(tmp_path: Path) -> None:
    rng = random.Random(7)
    bench = make_bench(tmp_path, open_home(str(tmp_path / "home"), create=True))
    contents = {f"{i}.bin": rng.randbytes(3000) for i in range(400)}
    for name, data in contents.items():
        bench.write(name, data)
    media = Path(bench.home.url) / "media"

    def stored() -> int:
        return sum(len(names) for _, _, names in os.walk(media))

    victim = Victim(tmp_path, None, bench.home.url, threads=2)
    for point in sorted(rng.sample(range(1, 300), 5)):
        victim.kill_when(lambda point=point: stored() >= point)
    assert victim.kills >= 3
    for info in bench.home.store.list("media/"):  # nothing half-written has a media name
        assert hashlib.sha256(bench.home.store.get(info.key)).hexdigest() == info.key[-64:]
    outcomes = bench.run()
    assert totals(outcomes).planned == len(contents)
    assert all(o.arrived for o in outcomes)
    for o in outcomes:
        assert bench.home.read_media(str(o.uri)) == contents[o.file.path]


@pytest.mark.timeout(600)
def test_five_thousand_files_survive_twenty_kills(
    tmp_path: Path, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, threads = random.Random(11), 8
    url = f"{s3_bucket.url}/home"
    home = home_of(tmp_path, s3_bucket, url, monkeypatch)
    bench = make_bench(tmp_path, home)
    contents = {f"{i % 10}/{i}.bin": rng.randbytes(rng.randint(100, 3000)) for i in range(FILES)}
    for name, data in contents.items():
        bench.write(name, data)

    def puts() -> int:
        return sum(1 for r in s3_bucket.proxy.requests if r.method == "PUT" and "/media/" in r.path)

    victim = Victim(tmp_path, s3_bucket, url, threads)
    for point in random_points(rng, FILES - 500):
        victim.kill_when(lambda point=point: puts() >= point)
    assert victim.kills == KILLS
    outcomes = bench.run(merge=False)
    assert (totals(outcomes).planned, totals(outcomes).balances) == (FILES, True)
    assert all(o.arrived for o in outcomes)
    sha256s = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    assert {o.file.path: o.sha256 for o in outcomes} == sha256s
    stored = s3_bucket.proxy.stored("/home/media/")
    assert len(stored) == FILES
    # What the server itself says it has, versions and all, is what it was seen to take.
    versions = Counter(key for key, _ in s3_bucket.store("home").iter_versions("media/"))
    assert {key.rpartition("/")[2] for key in versions} == set(sha256s.values())
    assert sum(versions.values()) == sum(stored.values())
    result = verify_files(map(expected_of, outcomes), home=home, sources={}, level="L2", whole=True)
    assert (result.ok, result.checked, result.extra) == (True, FILES, 0)
    twice = sum(count > 1 for count in versions.values())
    assert sum(found.count for found in result.beside) == twice, "each is told, with its price"
    # Only what was on the wire when a process died may have gone twice, and it says so: the next
    # run looks before it sends. A second version needs a kill between the store's and our word.
    assert sum(stored.values()) <= FILES + threads * KILLS
    assert {o.status for o in bench.run()} == {"skipped"}
    assert s3_bucket.proxy.stored("/home/media/") == stored  # nothing was sent again


@pytest.mark.timeout(900)
def test_a_gigabyte_in_parts_survives_twenty_kills(
    tmp_path: Path, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(13)
    url = f"{s3_bucket.url}/home"
    home = home_of(tmp_path, s3_bucket, url, monkeypatch)
    bench = make_bench(tmp_path, home)
    path = bench.write("big.bin", b"")
    with path.open("wb") as out:
        block = rng.randbytes(2**20)
        for number in range(LARGE_BYTES // 2**20 + 1):
            out.write(number.to_bytes(8, "big") + block[8:])
        out.truncate(LARGE_BYTES)

    def done() -> Counter[str]:
        return Counter(
            r.query.split("partNumber=")[1].split("&")[0]
            for r in list(s3_bucket.proxy.requests)
            if "partNumber=" in r.query and r.method == "PUT" and r.status == 200
        )

    parts = -(-LARGE_BYTES // (16 * 2**20))
    victim = Victim(tmp_path, s3_bucket, url, threads=2)
    for point in random_points(rng, parts - 2):
        victim.kill_when(lambda point=point: len(done()) >= point)
    assert victim.kills >= KILLS - 2  # a point that an earlier kill overshot kills at once
    victim.finish()
    sent = done()
    assert len(sent) == parts
    # A part that the store had confirmed to us is never sent again; one whose reply died with the
    # process may be.
    assert sum(sent.values()) - parts <= 8 * KILLS
    begun = [r for r in s3_bucket.proxy.requests if r.method == "POST" and "uploads" in r.query]
    assert len(begun) == 1  # one upload, resumed twenty times
    (outcome,) = bench.run()
    assert (outcome.status, totals([outcome]).balances) == ("skipped", True)
    with home.store.open(str(outcome.uri)) as stream, path.open("rb") as source:
        assert (
            hashlib.file_digest(stream, "sha256").hexdigest()
            == hashlib.file_digest(source, "sha256").hexdigest()
            == outcome.sha256
        )
    s3_bucket.purge()
