"""A race on a bucket whose winner shows late: whoever was told "merged" is on main in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from services.s3_endpoint import S3Bucket
from version_rows import held, open_git, put_rows, run_once

from trainset.errors import AccessDenied
from trainset.home import Home, HomeConfig
from trainset.stores.base import ObjectInfo
from trainset.stores.s3 import S3Store
from trainset.stores.s3_list import ObjectVersion
from trainset.versions.base import MainMoved
from trainset.versions.git import GitVersions
from trainset.versions.replay import replay

BOTH = {"a": (1, "one"), "early": (2, "two"), "late": (3, "three")}


class LateStore(S3Store):
    """Just before it moves main, ``meanwhile`` runs; what that wrote shows ``late`` looks later."""

    meanwhile: Callable[[], Any] | None = None
    late = 0
    hidden: frozenset[str] = frozenset()

    def put(self, key: str, data: bytes, **options: Any) -> ObjectInfo:
        if "/refs/heads/main/" in key and self.meanwhile is not None:
            self.meanwhile, others = None, self.meanwhile
            others()
            self.hidden = frozenset(v.version_id for v in super().list_versions(key))
        return super().put(key, data, **options)

    def list_versions(self, key: str) -> list[ObjectVersion]:
        found = super().list_versions(key)
        if self.hidden and any(v.version_id in self.hidden for v in found):
            self.late -= 1
            if self.late < 0:
                self.hidden = frozenset()
        return [v for v in found if v.version_id not in self.hidden]


class KeepingStore(S3Store):
    """A key that may write, but not remove versions; or a process that dies before it does."""

    fault: type[BaseException] = AccessDenied

    def delete_version(self, key: str, version_id: str) -> None:
        raise self.fault("this key may not remove versions")


class Killed(BaseException):
    """Stands for a kill: nothing in trainset catches it."""


def machine(
    bucket: S3Bucket, state: Path, kind: type[S3Store] = S3Store
) -> tuple[GitVersions, Any]:
    state.mkdir(parents=True, exist_ok=True)
    store = kind(bucket.name, "home", bucket.endpoint.credentials)
    return open_git(Home(store.url, store, state, HomeConfig())), store


def committed(versions: GitVersions, run_id: str, values: dict[str, tuple[int, str]]) -> Any:
    workspace = versions.begin(run_id)
    put_rows(workspace, "media", values)
    assert workspace.commit(run_id, {}) is not None
    return workspace


def on_line(versions: GitVersions, commits: Sequence[str]) -> list[bool]:
    tip = versions.resolve("main").id
    return [versions.repository.reaches(tip, commit) for commit in commits]


def race(bucket: S3Bucket, tmp_path: Path, *, late: int) -> tuple[Any, Any, GitVersions]:
    """Two runs from one base; the early one's move of main shows late to the other, who moves."""
    early, _ = machine(bucket, tmp_path / "early")
    run_once(early, "r1", {"media": {"a": (1, "one")}})
    slow, store = machine(bucket, tmp_path / "slow", LateStore)
    first = committed(early, "early", {"early": (2, "two")})
    second = committed(slow, "late", {"late": (3, "three")})
    told: list[Any] = []
    store.meanwhile, store.late = lambda: told.append(first.merge()), late
    return told, second, slow


def test_two_that_were_both_told_merged_are_both_on_main(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    told, second, _ = race(s3_bucket, tmp_path, late=1000)
    told.append(second.merge())
    commits = [commit.id for commit in told]
    assert len({commit.parents for commit in told}) == 1  # from one base: a fork

    healed, _ = machine(s3_bucket, tmp_path / "third")
    assert on_line(healed, commits) == [True, True]
    main = healed.snapshot("main")
    assert held(main, "media") == BOTH
    assert main.table("media").uri == healed.home.store.uri("tables/media")
    own = [BOTH.keys() - {"late"}, BOTH.keys() - {"early"}]
    for commit, keys in zip(commits, own, strict=True):
        assert held(healed.snapshot(commit), "media") == {key: BOTH[key] for key in keys}
    head = healed.resolve("main").id
    again, _ = machine(s3_bucket, tmp_path / "fourth")
    assert again.resolve("main").id == head  # healed once for all
    run_once(again, "after", {"media": {"z": (9, "nine")}})
    assert held(again.snapshot("main"), "media") == BOTH | {"z": (9, "nine")}


def test_a_winner_that_shows_before_it_is_said_makes_the_other_replay(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    told, second, slow = race(s3_bucket, tmp_path, late=1)
    with pytest.raises(MainMoved):
        second.merge()
    main = slow.snapshot("main")
    assert main.commit.id == told[0].id
    assert main.table("media").uri == slow.home.store.uri("tables/media")  # published again
    assert held(main, "media") == {"a": BOTH["a"], "early": BOTH["early"]}
    again = replay(slow, second).workspace
    assert again.commit("late", {})
    again.merge()
    reader, _ = machine(s3_bucket, tmp_path / "reader")
    assert held(reader.snapshot("main"), "media") == BOTH
    assert len(list(reader.log())) == 3  # nothing was left to heal


def test_a_fork_is_read_from_its_commits_while_nobody_has_healed_it(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    told, second, _ = race(s3_bucket, tmp_path, late=1000)
    other, _ = machine(s3_bucket, tmp_path / "other")  # opened before the race
    second.merge()
    main = other.snapshot("main")
    assert main.commit.id == told[0].id
    assert main.table("media").uri.startswith(str(tmp_path))  # the home has the other's manifest
    assert held(main, "media") == {"a": BOTH["a"], "early": BOTH["early"]}


@pytest.mark.parametrize(
    ("fault", "ends_it"), [(AccessDenied, None), (Killed, "losing"), (Killed, "elsewhere")]
)
def test_a_loser_that_knew_is_not_merged_behind_its_back(
    s3_bucket: S3Bucket, tmp_path: Path, fault: type[BaseException], ends_it: str | None
) -> None:
    early, _ = machine(s3_bucket, tmp_path / "early")
    run_once(early, "r1", {"media": {"a": (1, "one")}})
    losing, store = machine(s3_bucket, tmp_path / "losing", KeepingStore)
    first = committed(early, "early", {"early": (2, "two")})
    second = committed(losing, "late", {"late": (3, "three")})
    store.fault = fault
    put, store.put = store.put, None

    def put_second(key: str, data: bytes, **options: Any) -> ObjectInfo:
        if "/refs/heads/main/" in key:
            store.put = put
            first.merge()
        return put(key, data, **options)

    store.put = put_second
    with pytest.raises((MainMoved, Killed)):
        second.merge()
    other, _ = machine(s3_bucket, tmp_path / "other")
    assert held(other.snapshot("main"), "media") == {"a": BOTH["a"], "early": BOTH["early"]}
    if ends_it is not None:  # its next process discards the run, or replays it; or others tidy up
        again, _ = machine(s3_bucket, tmp_path / ends_it)
        again.begin("late").discard()
        other, _ = machine(s3_bucket, tmp_path / "another")
        assert held(other.snapshot("main"), "media").keys() == {"a", "early"}
        return
    replayed = replay(losing, second).workspace
    assert replayed.commit("late", {})
    replayed.merge()
    other, _ = machine(s3_bucket, tmp_path / "another")
    assert held(other.snapshot("main"), "media") == BOTH
