"""kill -9 in the middle of a transfer, at random points, then the same command."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from services.s3_endpoint import S3Bucket
from transfer_bench import make_bench, totals

from trainset.home import open_home

FILES = 12

_PROGRAM = """
import sys, time
from pathlib import Path
from trainset.home import open_home
from trainset.model import MediaFacts
from transfer_bench import make_bench
root, url = sys.argv[1:]
bench = make_bench(Path(root), open_home(url))
def slow(data, name):
    time.sleep(0.02)
    return MediaFacts(mime="application/octet-stream", modality="other")
bench.probe = slow
print("go", flush=True)
bench.run(threads=2)
"""


def killed_runs(root: Path, url: str, environment: dict[str, str], rng: random.Random) -> int:
    """Start the transfer again and again, kill it at a random point; how often it was killed."""
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent), str(here.parents[1])])
    kills = 0
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(root), url],
            env={**os.environ, **environment, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"go\n"
        time.sleep(rng.uniform(0, 0.12))
        os.kill(child.pid, signal.SIGKILL)
        kills += child.wait() == -signal.SIGKILL
    return kills


def test_a_killed_transfer_into_a_folder_ends_whole(tmp_path: Path) -> None:
    rng = random.Random(7)
    bench = make_bench(tmp_path, open_home(str(tmp_path / "home"), create=True))
    contents = {f"{i}.bin": rng.randbytes(3000) for i in range(FILES)}
    for name, data in contents.items():
        bench.write(name, data)
    assert killed_runs(tmp_path, bench.home.url, {}, rng) >= 1
    for info in bench.home.store.list("media/"):  # nothing half-written has a media name
        assert hashlib.sha256(bench.home.store.get(info.key)).hexdigest() == info.key[-64:]
    outcomes = bench.run()
    assert totals(outcomes).planned == FILES
    assert all(o.arrived for o in outcomes)
    for o in outcomes:
        assert bench.home.read_media(str(o.uri)) == contents[o.file.path]
    assert {o.status for o in bench.run(merge=False)} == set()


def test_a_killed_transfer_into_a_bucket_sends_nothing_twice(
    tmp_path: Path, s3_bucket: S3Bucket
) -> None:
    rng = random.Random(11)
    credentials = s3_bucket.endpoint.credentials
    environment = {
        "B2_KEY_ID": credentials.key_id,
        "B2_APPLICATION_KEY": credentials.application_key.get_secret_value(),
        "TRAINSET_S3_ENDPOINT": credentials.endpoint,
        "TRAINSET_STATE": str(tmp_path / "state"),
    }
    url = f"{s3_bucket.url}/home"
    home = open_home(url, credentials=credentials, create=True)
    home.state = tmp_path / "state" / hashlib.sha256(home.url.encode()).hexdigest()[:16]
    bench = make_bench(tmp_path, home)
    contents = {f"{i}.bin": rng.randbytes(3000) for i in range(FILES)}
    for name, data in contents.items():
        bench.write(name, data)
    kills = killed_runs(tmp_path, url, environment, rng)
    assert kills >= 1
    outcomes = bench.run()
    assert all(o.arrived for o in outcomes)
    for o in outcomes:
        assert bench.home.read_media(str(o.uri)) == contents[o.file.path]
    puts = s3_bucket.proxy.stored("/home/media/")
    assert len(puts) == FILES
    # Only a file that was on the wire when the process died may have gone twice (2 threads).
    assert sum(puts.values()) <= FILES + 2 * kills
