"""Eight processes merge at the same moment: no row is lost, and nobody is told "merged" early."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from services.lakefs_homes import LakeFSHomes
from services.s3_endpoint import S3Bucket
from version_rows import held, open_git, run_once, table_in_place

from trainset.home import Home, HomeConfig, open_home
from trainset.versions.base import VersionStore

HERE = Path(__file__).parent
RUNS = 8
START = {f"{name}{n}": (n, "old") for n in range(RUNS) for name in ("k", "gone")}

Open = Callable[[str], VersionStore]  # by the name of a machine


class Worker:
    """A driver process, and what it said."""

    def __init__(self, number: int, home: str, environment: dict[str, str]) -> None:
        self.said: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "merge_driver.py"), home, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self._errors = ""
        self._threads = [threading.Thread(target=f) for f in (self._listen, self._hear_errors)]
        for thread in self._threads:
            thread.start()

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Wait for it; it must have ended well."""
        for thread in self._threads:
            thread.join(timeout=60)
        assert self._process.wait(timeout=60) == 0, self._errors[-3000:]

    def kill(self) -> None:
        self._process.kill()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(line.strip())

    def _hear_errors(self) -> None:
        assert self._process.stderr is not None
        self._errors = self._process.stderr.read()


@pytest.mark.timeout(550)
def test_eight_runs_that_merge_at_the_same_moment_in_a_folder(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    _race(lambda _: open_git(open_home(home, create=True)), home, lambda _: {})


@pytest.mark.timeout(550)
def test_eight_machines_that_merge_at_the_same_moment_in_a_bucket(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    s3_bucket.store("home").put("trainset.json", b'{"layout": 1}')

    def opened(name: str) -> VersionStore:
        store, state = s3_bucket.store("home"), tmp_path / name
        state.mkdir(exist_ok=True)
        return open_git(Home(store.url, store, state, HomeConfig()))

    def environment(number: int) -> dict[str, str]:
        state = {"TRAINSET_STATE": str(tmp_path / f"machine-{number}")}
        return s3_bucket.endpoint.environment | state

    _race(opened, f"{s3_bucket.url}/home", environment)


@pytest.mark.timeout(550)
def test_eight_runs_that_merge_at_the_same_moment_on_lakefs(
    lakefs_in_a_folder: LakeFSHomes, tmp_path: Path
) -> None:
    home = lakefs_in_a_folder.new_home()

    def opened(name: str) -> VersionStore:
        state = tmp_path / name
        state.mkdir()
        return home.on_machine(state).versions

    _race(opened, home.url, lambda _: {})


def _race(opened: Open, home: str, environment: Callable[[int], dict[str, str]]) -> None:
    run_once(opened("first"), "r0", {"media": START})
    workers = [Worker(n, home, environment(n)) for n in range(RUNS)]
    try:
        while not all(worker.said for worker in workers) and all(w.is_alive for w in workers):
            threading.Event().wait(0.1)
        for worker in workers:
            worker.go()
        watcher = opened("watcher")
        while any(worker.is_alive for worker in workers):
            told = _told(workers)  # before the look at main
            line = [commit.id for commit in watcher.log()]
            assert set(told) <= set(line)
        for worker in workers:
            worker.end()
    finally:
        for worker in workers:
            worker.kill()
    told = _told(workers)
    assert len(set(told)) == RUNS
    last = opened("last")
    assert set(told) <= {commit.id for commit in last.log()}
    expected = {f"k{n}": (-1, "changed") for n in range(RUNS)}
    expected |= {f"new{n}": (n, "new") for n in range(RUNS)}
    assert held(last.snapshot("main"), "media") == expected
    for commit in last.log():
        snapshot = last.snapshot(commit.id)
        assert snapshot.table("media").uri == table_in_place(last, commit.id, "media")
        assert len(held(snapshot, "media")) == len(START)  # each run adds one and removes one
    assert last.runs() == []


def _told(workers: list[Worker]) -> list[str]:
    return [s.removeprefix("merged ") for w in workers for s in w.said if s.startswith("merged ")]
