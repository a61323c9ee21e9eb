"""Kills a run on lakeFS with SIGKILL at its n-th request, for every n, and checks the home.

The server is the one in the environment (``LAKEFS_ENDPOINT`` …) and outlives the run. Forks, as
``kill_driver`` does. Prints one JSON line per kill. Usage: lakefs_kill_driver.py <folder> <every>
"""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

from kill_driver import NEW, OLD, in_fork, look
from version_rows import put_rows, run_once

from trainset.home import open_home
from trainset.versions.base import VersionStore


def main(folder: Path, every: int) -> None:
    for n in range(1, 10_000, every):
        place = f"{folder}/{n}", f"lakefs://t-{uuid.uuid4().hex[:16]}"
        assert in_fork(lambda place=place: prepare(*place)) == 0
        status = in_fork(lambda place=place, n=n: run(opened(*place), die_at=n))
        killed = os.WIFSIGNALED(status)
        assert killed or status == 0, status
        checked = in_fork(lambda place=place, killed=killed: check(*place, killed=killed))
        print(json.dumps({"at": n, "killed": killed, "fine": checked == 0}), flush=True)
        if not killed:
            return


def opened(root: str, url: str) -> VersionStore:
    return open_home(root, create=True, versions=url).versions


def prepare(root: str, url: str) -> None:
    workspace = opened(root, url).begin("first")
    for table, values in OLD.items():
        put_rows(workspace, table, values)
    workspace.write("meta/s/t/_state.json", b"old")
    workspace.commit("first", {})
    workspace.merge()


def run(versions: VersionStore, die_at: int | None = None) -> None:
    if die_at is not None:
        die_at_request(die_at)
    workspace = versions.begin("second")
    for table, values in NEW.items():
        put_rows(workspace, table, values)
    workspace.write("meta/s/t/_state.json", b"new")
    if workspace.commit("second", {}) is None:
        workspace.discard()
    else:
        workspace.merge()


def die_at_request(n: int) -> None:
    left = n

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        if event == "http.client.send":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def check(root: str, url: str, *, killed: bool) -> None:
    versions = opened(root, url)
    look(versions, killed=killed)
    run(versions)
    versions = opened(root, url)
    look(versions, killed=False)
    assert versions.runs() == []
    assert len(list(versions.log())) == 2
    run_once(versions, "third", {"media": {"d": (4, "four")}})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
