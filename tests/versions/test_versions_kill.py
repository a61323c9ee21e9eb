"""kill -9 at any step: main stays readable at the old or the new commit, the next open repairs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from version_rows import held, open_git, put_rows, run_once

from trainset.home import Home, open_home

HERE = Path(__file__).parent


def test_a_killed_merge_is_whole_or_not_at_all(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "kill_driver.py"), str(tmp_path), "3"],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    assert [k for k in kills if not k["fine"]] == [], done.stderr[-3000:]
    assert len(kills) > 10
    assert not kills[-1]["killed"]  # the last one ran through: no later step is left to kill


def test_a_lock_that_a_kill_left_is_broken(folder_home: Home) -> None:
    versions = open_git(folder_home)
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    left = folder_home.store.local_path("repo.git/refs/heads/main.lock")
    assert left is not None
    left.write_text("half")
    run_once(versions, "r2", {"media": {"b": (2, "two")}})
    assert held(versions.snapshot("main"), "media") == {"a": (1, "one"), "b": (2, "two")}
    assert not left.exists()


def test_a_half_made_work_tree_is_made_anew(folder_home: Home) -> None:
    versions = open_git(folder_home)
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    folder = folder_home.state / "runs" / "r2"
    (folder / "tables" / "media" / "data").mkdir(parents=True)  # killed before its record
    workspace = versions.begin("r2")
    assert held(workspace, "media") == {"a": (1, "one")}
    left = folder / "tables" / ".making-x"
    left.mkdir()
    assert held(versions.begin("r2"), "media") == {"a": (1, "one")}
    assert not left.exists()


def test_git_itself_finds_the_store_in_order(folder_home: Home) -> None:
    if shutil.which("git") is None:
        pytest.skip("needs git: apt-get install git")
    versions = open_git(folder_home)
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    second = run_once(versions, "r2", {"media": {"b": (2, "two")}})
    versions.tag("v1")
    git = ["git", "--git-dir", str(folder_home.store.local_path("repo.git"))]
    subprocess.run([*git, "fsck", "--strict", "--full"], check=True, capture_output=True)
    subprocess.run([*git, "gc", "-q"], check=True, capture_output=True)
    subprocess.run([*git, "pack-refs", "--all"], check=True, capture_output=True)
    versions = open_git(open_home(folder_home.url))
    assert versions.tags() == {"v1": second.id}
    versions.create_branch("b")
    subprocess.run([*git, "pack-refs", "--all"], check=True, capture_output=True)
    versions.delete_branch("b")
    assert versions.branches() == {"main": second.id}
    third = run_once(versions, "r3", {"media": {"c": (3, "three")}})
    assert versions.branches() == {"main": third.id}


def test_a_failed_commit_leaves_the_work_to_be_committed_again(folder_home: Home) -> None:
    versions = open_git(folder_home)
    workspace = versions.begin("r1")
    put_rows(workspace, "media", {"a": (1, "one")})
    first = workspace.commit("once", {})
    put_rows(workspace, "media", {"b": (2, "two")})
    second = versions.begin("r1").commit("twice", {})
    assert first is not None
    assert second is not None
    assert second.parents == ()  # one run is one commit of main
    assert held(versions.snapshot(workspace.merge().id), "media") == {
        "a": (1, "one"),
        "b": (2, "two"),
    }


def test_a_reader_does_not_wait_for_a_writer(folder_home: Home) -> None:
    versions = open_git(folder_home)
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    with versions.lock, ThreadPoolExecutor(1) as other:
        reading = other.submit(
            lambda: held(open_git(open_home(folder_home.url)).snapshot("main"), "media")
        )
        assert reading.result(timeout=60) == {"a": (1, "one")}


def test_what_is_not_published_yet_is_read_from_a_checkout(folder_home: Home) -> None:
    versions = open_git(folder_home)
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    for manifest in (Path(folder_home.url) / "tables" / "media" / "_versions").iterdir():
        manifest.unlink()  # as if the merge was killed, and this reader may not write to the home
    snapshot = versions.snapshot("main")
    assert snapshot.table("media").uri.startswith(str(folder_home.state))
    assert held(snapshot, "media") == {"a": (1, "one")}
