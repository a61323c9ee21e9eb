"""What is particular to a home in a bucket: races without conditional PUT, kills between PUTs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from services.s3_endpoint import S3Bucket
from version_rows import held, open_git, put_rows, run_once

from trainset.errors import AccessDenied
from trainset.home import Home, HomeConfig
from trainset.stores.base import ObjectInfo
from trainset.stores.s3 import S3Store
from trainset.versions.bucket import BucketRefs
from trainset.versions.git import GitVersions
from trainset.versions.locks import StoreLock
from trainset.versions.refs import RefMoved

A, B = "a" * 40, "b" * 40


class MeetingStore(S3Store):
    """Two of these PUT a ref only when both have found it free."""

    meeting = threading.Barrier(1)

    def put(self, key: str, data: bytes, **options: Any) -> ObjectInfo:
        if "/refs/" in key:
            with suppress(threading.BrokenBarrierError):  # the other one is done
                self.meeting.wait(timeout=30)
        return super().put(key, data, **options)


class EndingStore(S3Store):
    """Another machine's run ends just after the refs were listed."""

    ends: Callable[[], None] | None = None

    def list(self, *arguments: Any, **options: Any) -> Iterator[ObjectInfo]:
        listed = list(super().list(*arguments, **options))
        if (ends := self.ends) is not None:
            self.ends = None
            ends()
        yield from listed


class Killed(BaseException):
    """Stands for a kill: nothing in trainset catches it."""


class DyingStore(S3Store):
    """Dies before its n-th write."""

    left = 10**9

    def put(self, *arguments: Any, **options: Any) -> ObjectInfo:
        self._live()
        return super().put(*arguments, **options)

    def put_file(self, *arguments: Any, **options: Any) -> ObjectInfo:
        self._live()
        return super().put_file(*arguments, **options)

    def delete(self, key: str) -> None:
        self._live()
        super().delete(key)

    def _live(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise Killed


def machine(bucket: S3Bucket, state: Path, prefix: str = "home") -> GitVersions:
    state.mkdir(parents=True, exist_ok=True)
    store = bucket.store(prefix)
    return open_git(Home(store.url, store, state, HomeConfig()))


def test_of_two_writers_that_found_the_ref_free_one_wins(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    credentials = s3_bucket.endpoint.credentials

    def writer(n: int) -> BucketRefs:
        store = MeetingStore(s3_bucket.name, "home", credentials)
        return BucketRefs(store, StoreLock(tmp_path / f"lock{n}"), tmp_path / f"refs{n}.json")

    writers = [writer(1), writer(2)]
    writers[0].move("heads/main", "0" * 40, expected=None)
    MeetingStore.meeting = threading.Barrier(2)
    try:
        for round_ in range(3):
            base = writers[0].all()["heads/main"]
            news = [f"{round_}{n}" * 20 for n in (1, 2)]

            def move(n: int, base: str = base, news: list[str] = news) -> str:
                try:
                    writers[n].move("heads/main", news[n], expected=base)
                except RefMoved as err:
                    return f"lost to {err.found}"
                return "won"

            with ThreadPoolExecutor(2) as pool:
                outcomes = list(pool.map(move, (0, 1)))
            winner = outcomes.index("won")
            assert outcomes[1 - winner] == f"lost to {news[winner]}"
            for reader in (*writers, writer(3)):
                assert reader.all()["heads/main"] == news[winner]
    finally:
        MeetingStore.meeting = threading.Barrier(1)


def test_of_two_machines_that_tag_at_once_each_has_a_tag_of_its_own(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    first = machine(s3_bucket, tmp_path / "first")
    commits = [run_once(first, f"r{n}", {"media": {"a": (n, "")}}).id for n in (1, 2)]
    opened = []
    for n in (1, 2):
        (tmp_path / f"tags{n}").mkdir()
        store = MeetingStore(s3_bucket.name, "home", s3_bucket.endpoint.credentials)
        opened.append(open_git(Home(store.url, store, tmp_path / f"tags{n}", HomeConfig())))
    MeetingStore.meeting = threading.Barrier(2)
    try:
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(v.tag, "v1", c) for v, c in zip(opened, commits, strict=True)]
            while not all(future.done() for future in waiting):  # the loser tags again, alone
                if any(future.done() for future in waiting):
                    MeetingStore.meeting.abort()
                    MeetingStore.meeting = threading.Barrier(1)
                threading.Event().wait(0.05)
            names = [future.result() for future in waiting]
    finally:
        MeetingStore.meeting = threading.Barrier(1)
    assert sorted(names) == ["v1", "v1.2"]
    for versions in (*opened, first, machine(s3_bucket, tmp_path / "third")):
        assert versions.tags() == dict(zip(names, commits, strict=True))


def test_a_deleted_branch_can_be_made_again(s3_bucket: S3Bucket, tmp_path: Path) -> None:
    def refs() -> BucketRefs:
        lock = StoreLock(tmp_path / "lock")
        return BucketRefs(s3_bucket.store("home"), lock, tmp_path / "refs.json")

    refs().move("heads/exp", A, expected=None)
    refs().delete("heads/exp")
    assert refs().all() == {}
    refs().move("heads/exp", B, expected=None)
    assert refs().all() == {"heads/exp": B}
    with pytest.raises(RefMoved):
        refs().move("heads/exp", A, expected=A)


def test_a_run_that_ends_between_the_listing_and_the_reading_of_refs_is_gone(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    def refs(name: str) -> BucketRefs:
        return BucketRefs(store, StoreLock(tmp_path / name), tmp_path / f"{name}.json")

    store = EndingStore(s3_bucket.name, "home", s3_bucket.endpoint.credentials)
    here, there = refs("here"), refs("there")
    here.move("heads/main", A, expected=None)
    here.move("heads/run/r1", B, expected=None)
    store.ends = lambda: here.delete("heads/run/r1")
    assert there.all() == {"heads/main": A}


def test_two_machines_replay_into_one_bucket(s3_bucket: S3Bucket, tmp_path: Path) -> None:
    from trainset.versions.base import MainMoved
    from trainset.versions.replay import replay

    one, two = (machine(s3_bucket, tmp_path / n) for n in ("one", "two"))
    run_once(one, "r1", {"media": {"a": (1, "one")}})
    late: Any = two.begin("late")
    put_rows(late, "media", {"b": (2, "two")})
    assert late.commit("late", {})
    run_once(one, "r2", {"media": {"c": (3, "three")}})
    with pytest.raises(MainMoved):
        late.merge()
    again = replay(two, late).workspace
    assert again.commit("late", {})
    again.merge()
    expected = {"a": (1, "one"), "b": (2, "two"), "c": (3, "three")}
    assert held(machine(s3_bucket, tmp_path / "three").snapshot("main"), "media") == expected
    assert held(one.snapshot("main"), "media") == expected


def test_a_merge_killed_between_any_two_writes_is_repaired_by_another_machine(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    old, new = {"a": (1, "one")}, {"a": (1, "one"), "b": (2, "two")}
    for n in range(1, 40, 2):
        prefix = f"home-{n}"
        run_once(machine(s3_bucket, tmp_path / f"{n}-a", prefix), "r1", {"media": old})
        store = DyingStore(s3_bucket.name, prefix, s3_bucket.endpoint.credentials)
        state = tmp_path / f"{n}-b"
        state.mkdir()
        versions = open_git(Home(store.url, store, state, HomeConfig()))
        workspace = versions.begin("r2")
        put_rows(workspace, "media", {"b": (2, "two")})
        workspace.write("_meta/left_out.json", b"[]")
        store.left = n
        try:
            assert workspace.commit("second", {})
            workspace.merge()
            done = True
        except Killed:
            done = False
        other = machine(s3_bucket, tmp_path / f"{n}-c", prefix)
        snapshot = other.snapshot("main")
        assert snapshot.table("media").uri.startswith("s3://")
        moved = snapshot.list() == ["_meta/left_out.json"]
        assert held(snapshot, "media") == (new if moved else old)
        assert (other.home.store.head("_meta/left_out.json") is not None) == moved
        if done:
            assert moved
            return
        # The machine that was killed takes its run up again, or finds it merged.
        store.left = 10**9
        versions.repair()
        workspace = versions.begin("r2")
        put_rows(workspace, "media", {"b": (2, "two")})
        workspace.write("_meta/left_out.json", b"[]")
        if workspace.commit("second", {}):
            workspace.merge()
        assert held(other.snapshot("main"), "media") == new
        assert len(list(other.log())) == 2
    raise AssertionError("a merge of one row took more than 40 writes")


class ReadingStore(S3Store):
    """A key without the right to write."""

    def put(self, key: str, data: bytes, **options: Any) -> ObjectInfo:
        raise AccessDenied(f"{key}: this key may only read; use one that may write")


def test_a_key_that_may_only_read_opens_a_home_that_a_kill_left_unpublished(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    store = DyingStore(s3_bucket.name, "home", s3_bucket.endpoint.credentials)
    (tmp_path / "killed").mkdir()
    versions = open_git(Home(store.url, store, tmp_path / "killed", HomeConfig()))
    workspace = versions.begin("r1")
    put_rows(workspace, "media", {"a": (1, "one")})
    assert workspace.commit("first", {})
    store.left = 2  # main moves, then it dies
    with pytest.raises(Killed):
        workspace.merge()
    (tmp_path / "reader").mkdir()
    reading = ReadingStore(s3_bucket.name, "home", s3_bucket.endpoint.credentials)
    reader = open_git(Home(reading.url, reading, tmp_path / "reader", HomeConfig()))
    assert held(reader.snapshot("main"), "media") == {"a": (1, "one")}
