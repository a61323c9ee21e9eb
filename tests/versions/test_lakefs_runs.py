"""Runs on a lakeFS server: races, crashes, and what the server itself must refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from services.lakefs_homes import LakeFSHome, LakeFSHomes
from version_rows import held, put_rows, run_once

from trainset.errors import InputError
from trainset.versions import open_versions
from trainset.versions.base import MAIN, MainMoved
from trainset.versions.lakefs.errors import Taken
from trainset.versions.lakefs.files import NOTE
from trainset.versions.lakefs.store import LakeFSVersions
from trainset.versions.replay import replay

HERE = Path(__file__).parent
RUNS = 8


def on_machine(home: LakeFSHome, state: Path) -> LakeFSVersions:
    state.mkdir()
    versions = open_versions(home.on_machine(state))
    assert isinstance(versions, LakeFSVersions)
    return versions


@pytest.fixture
def home(lakefs_in_a_folder: LakeFSHomes) -> LakeFSHome:
    return lakefs_in_a_folder.new_home()


@pytest.fixture
def versions(home: LakeFSHome, tmp_path: Path) -> LakeFSVersions:
    return on_machine(home, tmp_path / "state")


def test_the_server_itself_refuses_a_run_that_another_overtook(versions: LakeFSVersions) -> None:
    """Their tables and files lie apart, so that a merge of files alone would go through."""
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    one, two = versions.begin("one"), versions.begin("two")
    put_rows(one, "ones", {"x": (1, "x")})
    put_rows(two, "twos", {"y": (2, "y")})
    assert one.commit("one", {})
    assert two.commit("two", {})
    won = one.merge()
    with pytest.raises(Taken):  # as if main had moved just after `two` looked
        versions.repository.merge(two.branch, MAIN, "two", {})
    assert versions.resolve(MAIN).id == won.id
    with pytest.raises(MainMoved):
        two.merge()


def test_what_is_written_after_the_commit_is_not_left_behind(versions: LakeFSVersions) -> None:
    workspace = versions.begin("r1")
    workspace.write("a.json", b"1")
    assert workspace.commit("first", {})
    workspace.write("b.json", b"2")
    with pytest.raises(InputError, match="commit again"):
        workspace.merge()
    assert workspace.commit("both", {})
    workspace.merge()
    assert versions.snapshot(MAIN).list() == ["a.json", "b.json"]


def test_changes_are_counted_over_commits_and_what_is_staged(versions: LakeFSVersions) -> None:
    workspace = versions.begin("r1")
    for name in ("kept", "changed", "removed"):
        workspace.write(f"{name}.json", b"old")
    assert workspace.commit("first", {})
    workspace.merge()
    workspace = versions.begin("r2")
    workspace.write("changed.json", b"new")
    workspace.write("kept.json", b"new")
    workspace.write("added.json", b"new")
    workspace.remove("removed.json")
    assert workspace.commit("second", {})
    workspace.write("kept.json", b"old")
    workspace.remove("added.json")
    again = versions.begin("r2")
    assert again.changes() == {"changed.json": "written", "removed.json": "removed"}


def test_a_merge_whose_reply_was_lost_is_found_and_not_made_twice(
    versions: LakeFSVersions,
) -> None:
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    workspace = versions.begin("r2")
    put_rows(workspace, "media", {"b": (2, "two")})
    made = workspace.commit("second", {"run": "r2"})
    assert made is not None
    versions.repository.merge(workspace.branch, MAIN, made.message, {"trainset.run": "r2"})
    run_once(versions, "r3", {"media": {"c": (3, "three")}})
    merged = versions.begin("r2").merge()
    assert merged.message == "second"
    assert [c.message for c in versions.log()] == ["run r3", "second", "run r1"]
    assert versions.runs() == []


def test_a_branch_that_a_kill_left_without_its_note_is_begun_again(
    versions: LakeFSVersions,
) -> None:
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    at = versions.repository.branch(MAIN)
    assert at is not None
    versions.repository.create_branch("run-r2", at)
    run_once(versions, "r3", {"media": {"b": (2, "two")}})
    assert held(versions.begin("r2"), "media") == {"a": (1, "one"), "b": (2, "two")}


def test_a_branch_without_its_note_is_silent_since_main_left_its_commit(
    versions: LakeFSVersions,
) -> None:
    """A kill left it empty, and a branch has no date; one that holds something is not ours."""
    first = run_once(versions, "r1", {"media": {"a": (1, "one")}})
    for name in ("run-killed", "run-users"):
        versions.repository.create_branch(name, first.id)
    later = datetime.now(UTC) + timedelta(hours=1)
    assert not versions.is_silent("killed", since=later)  # main is where it was
    run_once(versions, "r2", {"media": {"b": (2, "two")}})
    versions.repository.write("run-users", "mine.txt", b"written by hand")
    assert versions.is_silent("killed", since=later)
    assert not versions.is_silent("killed", since=later - timedelta(hours=2))
    assert not versions.is_silent("users", since=later)


def test_a_run_that_began_long_ago_and_writes_is_not_silent(
    home: LakeFSHome, lakefs_in_a_folder: LakeFSHomes, versions: LakeFSVersions
) -> None:
    workspace = versions.begin("r1")
    repository, now = versions.repository, datetime.now(UTC)
    ago = int((now - timedelta(days=9)).timestamp())
    note = workspace.note.encode()
    place = repository.make(
        "say where it lies",
        "StagingLocation",
        physical_address=lakefs_in_a_folder.server.put_external(f"{home.url[9:]}.json", note),
    )
    facts = repository.make(
        "say what it is",
        "StagingMetadata",
        staging=place,
        checksum="n",
        size_bytes=len(note),
        mtime=ago,
    )
    link = repository.sdk.staging_api.link_physical_address
    repository.call("link it", link, repository.name, workspace.branch, NOTE, facts)
    assert versions.is_silent("r1", since=now - timedelta(days=7))
    put_rows(workspace, "media", {"a": (1, "one")})
    assert not versions.is_silent("r1", since=now - timedelta(days=7))


def test_eight_runs_that_merge_at_the_same_moment_lose_no_row(
    home: LakeFSHome, tmp_path: Path
) -> None:
    def work(n: int) -> None:
        versions = on_machine(home, tmp_path / f"machine-{n}")
        workspace = versions.begin(f"w{n}")
        put_rows(workspace, "media", {f"w{n}": (n, "v")})
        put_rows(workspace, f"own{n % 2}", {f"w{n}": (n, "v")})
        while True:
            assert workspace.commit(f"w{n}", {}) is not None
            try:
                merged = workspace.merge()
                break
            except MainMoved:
                workspace = replay(versions, workspace).workspace
        assert held(versions.snapshot(merged.id), "media")[f"w{n}"] == (n, "v")

    with ThreadPoolExecutor(RUNS) as pool:
        list(pool.map(work, range(RUNS)))
    versions = on_machine(home, tmp_path / "after")
    main = versions.snapshot(MAIN)
    assert held(main, "media") == {f"w{n}": (n, "v") for n in range(RUNS)}
    assert held(main, "own0") == {f"w{n}": (n, "v") for n in range(0, RUNS, 2)}
    assert sorted(c.message for c in versions.log()) == [f"w{n}" for n in range(RUNS)]
    assert versions.runs() == []


def test_killed_at_any_request_main_is_whole_and_the_next_run_finishes(
    lakefs_in_a_folder: LakeFSHomes,
) -> None:
    homes = lakefs_in_a_folder
    place = homes.new_root()
    done = subprocess.run(
        [sys.executable, str(HERE / "lakefs_kill_driver.py"), place, "2"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) > 8
    assert not found[-1]["killed"]  # the last one ran to its end, so every request had its turn
    assert [f["at"] for f in found if not f["fine"]] == []
