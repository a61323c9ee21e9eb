"""Kills a run with SIGKILL at its n-th change to the file system, for every n, and checks the home.

A script of its own: it forks, which is safe only before Lance has started its threads. Prints one
JSON line per kill. Usage: kill_driver.py <folder> <every>
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from version_rows import held, open_git, put_rows, run_once

from trainset.home import open_home
from trainset.versions.git import GitVersions

OLD = {"media": {"a": (1, "one"), "b": (2, "two")}, "labels": {"l": (1, "cat")}}
NEW = {"media": {"a": (9, "nine"), "c": (3, "three")}, "labels": {"l": (2, "dog")}}
AFTER = {"media": OLD["media"] | NEW["media"], "labels": NEW["labels"]}
WRITES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}


def main(folder: Path, every: int) -> None:
    template = folder / "template"
    in_fork(lambda: prepare(template))
    for n in range(1, 10_000, every):
        home = folder / f"home-{n}"
        shutil.copytree(template, home)
        status = in_fork(lambda home=home, n=n: run(open_versions(home), die_at=n))
        killed = os.WIFSIGNALED(status)
        assert killed or status == 0, status
        checked = in_fork(lambda home=home, killed=killed: check(home, killed=killed))
        print(json.dumps({"at": n, "killed": killed, "fine": checked == 0}), flush=True)
        shutil.rmtree(home)
        if not killed:
            return


def prepare(home: Path) -> None:
    versions = open_versions(home)
    workspace = versions.begin("first")
    for table, values in OLD.items():
        put_rows(workspace, table, values)
    workspace.write("meta/s/t/_state.json", b"old")
    workspace.commit("first", {})
    workspace.merge()


def run(versions: GitVersions, die_at: int | None = None) -> None:
    workspace = versions.begin("second")
    for table, values in NEW.items():
        put_rows(workspace, table, values)
    workspace.write("meta/s/t/_state.json", b"new")
    if die_at is not None:
        die_at_change(die_at, versions.home.url)
    if workspace.commit("second", {}) is None:
        workspace.discard()
    else:
        workspace.merge()


def die_at_change(n: int, below: str) -> None:
    left = n

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event in WRITES or (
            event == "open" and isinstance(args[1], str) and args[1] != "r"
        )
        if writes and below in " ".join(str(a) for a in args):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def check(home: Path, *, killed: bool) -> None:
    store = open_home(str(home)).store
    versions = open_versions(home)
    look(versions, killed=killed)
    # What lies in the home is what main says, also after the kill.
    snapshot = versions.snapshot("main")
    assert store.get("meta/s/t/_state.json") == snapshot.read("meta/s/t/_state.json")
    for name in snapshot.tables():
        assert snapshot.table(name).uri == store.uri(f"tables/{name}")
    run(versions)
    look(open_versions(home), killed=False)
    assert versions.runs() == []
    assert len(list(versions.log())) == 2
    run_once(versions, "third", {"media": {"d": (4, "four")}})
    assert list((home / ".state" / "scratch-git").iterdir()) == []


def look(versions: GitVersions, *, killed: bool) -> None:
    snapshot = versions.snapshot("main")
    found = (
        {name: held(snapshot, name) for name in snapshot.tables()},
        snapshot.read("meta/s/t/_state.json"),
    )
    assert found == (AFTER, b"new") or (killed and found == (OLD, b"old")), found


def open_versions(home: Path) -> GitVersions:
    return open_git(open_home(str(home), create=True))


def in_fork(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked process; gives its wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
