"""Garbage collection: what is reached stays whole, what is not goes, and a kill does no harm."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.s3_endpoint import S3Bucket
from version_rows import TABLES, open_git, open_or_create

from trainset.dataset import open as open_dataset
from trainset.errors import ConflictError
from trainset.home import Home, HomeConfig, open_home
from trainset.tables.schema import MEDIA, finish_rows
from trainset.tables.verify import verify_dataset
from trainset.versions.base import MainMoved
from trainset.versions.collect import (
    CollectPlan,
    Stored,
    apply_collection,
    list_stored,
    plan_collection,
)
from trainset.versions.git import GitVersions
from trainset.versions.reach import Reach, find_reach
from trainset.versions.replay import replay

WHEN = datetime(2026, 11, 1, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)  # all that is there is old by then


def put_media(workspace: Any, home: Home, values: dict[str, bytes]) -> None:
    """Media in the home, and their rows."""
    rows = []
    for key, data in values.items():
        sha256 = hashlib.sha256(data).hexdigest()
        uri = home.media_uri(sha256)
        info = home.store.put(uri, data, sha256=sha256)
        rows.append(
            {
                "key": key,
                "uri": uri,
                "version_id": info.version_id,
                "sha256": sha256,
                "size": len(data),
                "source_uri": f"/nas/{key}",
                "source_state": "present",
                "ingested_at": WHEN,
            }
        )
    open_or_create(workspace.table("media"), MEDIA).upsert(finish_rows("media", rows))


def collect(versions: GitVersions, *, apply: bool = True, hidden: bool = False) -> CollectPlan:
    reach = find_reach(versions)
    plan = plan_collection(
        list_stored(versions, reach), reach, media="media", before=LATER, runs_at_work=False
    )
    if apply:
        assert apply_collection(versions.home.store, plan, hidden=hidden).refused == ()
        versions.forget_checkouts(reach.commits)
    return plan


def read_all(versions: GitVersions) -> dict[str, dict[str, bytes]]:
    """Every commit that a ref reaches, read to the last byte of its media and files."""
    found: dict[str, dict[str, bytes]] = {}
    for commit in find_reach(versions).commits:
        snapshot = versions.snapshot(commit)
        held = {path: snapshot.read(path) for path in snapshot.list()}
        for name in snapshot.tables():
            for row in TABLES.open(snapshot.table(name)).scan().read_all().to_pylist():
                held[f"{name}/{row['key']}"] = versions.home.read_media(row["uri"])
        found[commit] = held
    return found


def files(home: Home) -> set[str]:
    listed = (info.key for info in home.store.list())
    return {k for k in listed if not k.startswith((".state/", "repo.git/refs"))}


STEPS = ["run", "run", "discard", "fail", "branch", "on branch", "unbranch", "merge", "tag", "late"]


class Life:
    """A home through which steps go; every step that was told done must be there for ever."""

    def __init__(self, folder: Path) -> None:
        self.home = open_home(str(folder), create=True)
        self.versions = open_git(self.home)
        self.number = 0
        self.late: Any = None
        self.branched = 0

    def step(self, what: str) -> None:
        self.number += 1
        n = self.number
        branches = [b for b in self.versions.branches() if b != "main"]
        if what == "run":
            self._write(self.versions.begin(f"r{n}")).merge()
        elif what == "discard":
            self._write(self.versions.begin(f"r{n}")).discard()
        elif what == "fail":
            self._write(self.versions.begin(f"kept{n}"))
        elif what == "late" and self.late is None:
            self.late = self._write(self.versions.begin(f"late{n}"))
        elif what == "late":
            self._end_late()
        elif self.versions.head() is None:
            return
        elif what == "tag":
            self.versions.tag("v")
        elif what == "branch":
            self.branched += 1
            self.versions.create_branch(f"b{self.branched}")
        elif branches and what == "on branch":
            self._write(self.versions.begin(f"r{n}", base=branches[-1])).merge()
        elif branches and what == "merge":
            with suppress(ConflictError):
                self.versions.merge(branches[-1])
        elif branches and what == "unbranch":
            self.versions.delete_branch(branches[0])

    def _write(self, workspace: Any) -> Any:
        n = self.number
        put_media(workspace, self.home, {f"k{n}": b"%d" % n, f"k{n % 2}": b"changed %d" % n})
        if n % 3 == 0:
            TABLES.open(workspace.table("media")).delete(f"key = 'k{n - 1}'")
        part = self.home.state / "part"
        part.write_bytes(b"part %d" % n)
        workspace.put_file(f"meta/source{n}/stream/part.parquet", part)
        workspace.write("_meta/left_out.json", b"%d" % n)
        assert workspace.commit(f"run {n}", {}) is not None
        return workspace

    def _end_late(self) -> None:
        workspace, self.late = self.late, None
        try:
            workspace.merge()
        except MainMoved:
            with suppress(ConflictError):
                again = replay(self.versions, workspace).workspace
                if again.commit("late", {}) is None:
                    again.discard()
                else:
                    again.merge()


@settings(max_examples=12, deadline=None)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=4, max_size=9), data=st.data())
def test_after_any_history_and_collection_every_ref_reads_as_before(
    steps: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    life = Life(tmp_path_factory.mktemp("life") / "home")
    for step in steps:
        life.step(step)
        if data.draw(st.booleans()):
            collect(life.versions)
    before = read_all(life.versions)
    planned = collect(life.versions, apply=False)
    collect(life.versions)
    life.versions = open_git(open_home(life.home.url))
    assert read_all(life.versions) == before
    assert collect(life.versions).remove == ()  # nothing was forgotten
    assert not files(life.home) & {item.key for item in planned.remove}
    for ref in {**life.versions.branches(), **life.versions.tags()}:
        assert verify_dataset(open_dataset(life.home.url, ref)).faults == ()
    life.step("run")  # and it goes on
    life.step("late")


def history(home: Home) -> GitVersions:
    """Runs on main, a deleted branch, a discarded run: some of each kind is garbage."""
    life = Life(Path(home.url))
    for step in ("run", "run", "branch", "on branch", "unbranch", "discard", "run", "tag"):
        life.step(step)
    return open_git(open_home(home.url))


def test_all_kinds_of_garbage_go_and_nothing_else(folder_home: Home) -> None:
    versions = history(folder_home)
    before, there = read_all(versions), files(folder_home)
    plan = collect(versions)
    assert {item.kind for item in plan.remove} == {"table", "file", "media", "pack"}
    gone = {item.key for item in plan.remove}
    assert files(folder_home) == there - gone
    assert read_all(open_git(open_home(folder_home.url))) == before


def test_what_is_young_or_wanted_by_a_run_stays(folder_home: Home) -> None:
    versions = history(folder_home)
    reach = find_reach(versions)

    def planned(before: datetime, at_work: bool) -> CollectPlan:
        held = list_stored(versions, reach)
        return plan_collection(held, reach, media="media", before=before, runs_at_work=at_work)

    all_young = planned(datetime.now(UTC) - timedelta(days=7), False)
    assert all_young.remove == ()
    at_work = planned(LATER, True)
    assert {item.kind for item in at_work.kept_media} == {"media"}
    assert {item.kind for item in at_work.remove} == {"table", "file", "pack"}
    both = {i.key for i in (*at_work.remove, *at_work.kept_media)}
    assert both == {i.key for i in all_young.young} != set()


def test_only_names_that_trainset_gives_are_touched() -> None:
    sha256 = "ab" * 32
    held = [
        Stored(key, 1, WHEN)
        for key in (
            "trainset.json",
            "report.html",
            "exports/a/0.tar",
            "runs/r/summary.json",
            "thumbs/ab/x.jpg",
            "media/holiday.jpg",  # a source in reference mode may lie here
            f"media/cd/{sha256}",
            f"media/ab/{sha256}",
            "media/u/1",
            f"media/u/1.{sha256}",
            "media/u/2",
            f"media/u/2.{sha256}",
            "tables/media/data/x.lance",
        )
    ]
    reach = Reach(media={"media/u/1"})
    plan = plan_collection(held, reach, media="media", before=LATER, runs_at_work=False)
    assert {item.key for item in plan.remove} == {
        f"media/ab/{sha256}",
        "media/u/2",
        f"media/u/2.{sha256}",
        "tables/media/data/x.lance",
    }


class Killed(BaseException):
    """Stands for a kill: nothing in trainset catches it."""


def test_a_collection_that_is_killed_goes_on(folder_home: Home, tmp_path: Path) -> None:
    history(folder_home)
    for n in range(1, 100, 2):
        copy = tmp_path / f"copy{n}"
        shutil.copytree(folder_home.url, copy)
        versions = open_git(open_home(str(copy)))
        before = read_all(versions)
        store: Any = versions.home.store
        delete, left = store.delete, iter(range(n))

        def dying(key: str, delete: Any = delete, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Killed
            delete(key)

        store.delete = dying
        try:
            collect(versions)
            return  # no later step is left to kill
        except Killed:
            pass
        versions = open_git(open_home(str(copy)))
        assert read_all(versions) == before
        collect(versions)
        versions = open_git(open_home(str(copy)))
        assert read_all(versions) == before
        assert collect(versions).remove == ()
    raise AssertionError("there was more to remove than this test kills")


def test_a_bucket_hides_first_and_removes_for_good_when_told(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    store = s3_bucket.store("home")
    store.put("trainset.json", b'{"layout": 1}')
    home = Home(store.url, store, tmp_path, HomeConfig())
    versions = open_git(home)
    for run, values in (("r1", {"a": b"one", "b": b"two"}), ("r2", {"a": b"three"})):
        workspace = versions.begin(run)
        put_media(workspace, home, values)
        assert workspace.commit(run, {})
        workspace.merge()
    dead = versions.begin("dead")
    put_media(dead, home, {"c": b"four"})
    assert dead.commit("dead", {})
    dead.discard()
    again = hashlib.sha256(b"two").hexdigest()
    store.put(home.media_uri(again), b"two", sha256=again)  # sent twice: a version no row names
    before = read_all(versions)

    plan = collect(versions)
    fourth = home.media_uri(hashlib.sha256(b"four").hexdigest())
    assert fourth in {item.key for item in plan.remove if not item.hidden}
    assert store.head(fourth) is None
    assert len(store.list_versions(fourth)) == 1
    assert read_all(versions) == before
    hidden = collect(versions, apply=False)
    assert all(item.hidden for item in hidden.remove)
    assert fourth in {item.key for item in hidden.remove}
    pinned = dict(find_reach(versions).pins)
    collect(versions, hidden=True)
    assert store.list_versions(fourth) == []
    for key, version_id in pinned.items():
        assert version_id in {v.version_id for v in store.list_versions(key)}
    assert collect(versions, apply=False).remove == ()
    assert read_all(versions) == before


def test_what_a_run_has_sent_and_not_committed_stays(folder_home: Home) -> None:
    versions = history(folder_home)
    workspace = versions.begin("at-work")
    put_media(workspace, folder_home, {"new": b"sent, and its row is in the work tree"})
    collect(versions)
    assert workspace.commit("new", {}) is not None
    workspace.merge()
    assert (
        b"sent, and its row is in the work tree"
        in read_all(versions)[versions.resolve("main").id].values()
    )
