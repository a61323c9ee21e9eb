"""Object Lock on what a tag reaches: nobody deletes a byte of it, and the tag opens for good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from media_home import put_media
from services.lakefs import lakefs_server
from services.lakefs_homes import use_server
from services.s3_endpoint import S3Bucket, S3Endpoint
from services.tiny_source import make_tiny_source

from trainset.cli import main as trainset_command
from trainset.errors import AccessDenied, InputError
from trainset.home import Home, open_home
from trainset.run.local import run_pipeline
from trainset.run.tag_lock import TagUnlocked, lock_tag
from trainset.spec import TagLock
from trainset.stores.s3 import S3Store
from trainset.versions.tag_reach import reached_objects

IN_PARTS = ("meta/", "provenance/")  # of their small files git holds the bytes
NOW = datetime.now(UTC)
WEEK, MONTH = TagLock(days=7), TagLock(days=30)


@dataclass
class Locking:
    """A home in a bucket with Object Lock; ``fresh`` opens it as another machine does."""

    bucket: S3Bucket
    url: str
    folder: Path
    count: int = 0

    def fresh(self) -> Home:
        self.count += 1
        state = self.folder / f"machine-{self.count}"
        state.mkdir()
        home = open_home(self.url, credentials=self.bucket.endpoint.credentials)
        return Home(
            home.url, home.store, state, home.config, credentials=self.bucket.endpoint.credentials
        )

    def write(self, run_id: str, bodies: dict[str, bytes]) -> str:
        home = self.fresh()
        workspace = home.versions.begin(run_id)
        put_media(home, workspace, bodies)
        workspace.write("meta/s/t/_state.json", run_id.encode())
        workspace.commit(run_id, {"rows.media": str(len(bodies))})
        workspace.merge()
        return home.versions.tag(run_id)


@pytest.fixture(params=["git", "lakeFS"])
def locking(
    request: pytest.FixtureRequest,
    s3_endpoint: S3Endpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Locking]:
    bucket = s3_endpoint.new_bucket(locks=True)
    credentials = s3_endpoint.credentials
    if request.param == "git":
        url = f"{bucket.url}/home"
        open_home(url, credentials=credentials, create=True)
        yield Locking(bucket, url, tmp_path)
        return
    with lakefs_server(bucket=bucket) as server:
        use_server(server, monkeypatch)
        url = f"{bucket.url}/home"
        open_home(url, credentials=credentials, create=True, versions="lakefs://locked-home")
        yield Locking(bucket, url, tmp_path)


def test_nothing_that_a_tag_reaches_can_be_deleted_and_a_second_lock_asks_for_nothing(
    locking: Locking,
) -> None:
    tag = locking.write("r1", {"a": b"first", "b": b"second"})
    home = locking.fresh()
    locked = lock_tag(home, tag, WEEK, now=NOW)
    assert locked.extended >= 8
    reached = list(reached_objects(home, tag))
    assert locked.objects == len(reached)
    assert {r.key for r in reached if r.key.startswith("media/")} == {
        key
        for key, _ in home.store.iter_versions("media/")  # type: ignore[attr-defined]
    }
    for object_ in reached:
        assert isinstance(object_.store, S3Store)
        for version in object_.store.list_versions(object_.key)[:1]:
            with pytest.raises(AccessDenied):
                object_.store.delete_version(object_.key, version.version_id)
    again = lock_tag(locking.fresh(), tag, WEEK, now=NOW)
    assert (again.objects, again.extended) == (locked.objects, 0)


def test_a_lock_only_grows_and_a_later_tag_extends_what_it_shares(locking: Locking) -> None:
    first = locking.write("r1", {"a": b"first"})
    lock_tag(locking.fresh(), first, MONTH, now=NOW)
    then = locking.write("r2", {"b": b"second"})
    shorter = lock_tag(locking.fresh(), then, WEEK, now=NOW)
    assert 0 < shorter.extended < shorter.objects
    home = locking.fresh()
    assert isinstance(home.store, S3Store)
    (key,) = {r.key for r in reached_objects(home, first) if r.key.startswith("media/")}
    held = home.store.named("head_object", key)
    assert held["ObjectLockRetainUntilDate"] > NOW + timedelta(days=29)
    longer = lock_tag(locking.fresh(), then, MONTH, now=NOW + timedelta(days=1))
    assert longer.extended == longer.objects


def test_what_cannot_be_locked_is_named_and_the_rest_is_locked(locking: Locking) -> None:
    tag = locking.write("r1", {"a": b"first", "b": b"second"})
    home = locking.fresh()
    assert isinstance(home.store, S3Store)
    gone = next(r.key for r in reached_objects(home, tag) if r.key.startswith("media/"))
    home.store.delete(gone)
    with pytest.raises(TagUnlocked, match="trainset lock") as caught:
        lock_tag(home, tag, WEEK, now=NOW)
    assert [uri for uri, _ in caught.value.failed] == [home.store.uri(gone)]


def test_a_store_without_locks_is_refused_before_anything_moves(
    tmp_path: Path, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = make_tiny_source(tmp_path)
    tiny.write_spec(lock_tags={"days": 3})
    with pytest.raises(InputError, match="folder"):
        run_pipeline(tiny.spec)
    assert tiny.media_objects() == {}
    for name, value in s3_bucket.endpoint.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRAINSET_STATE", str(tmp_path / "state"))
    tiny.write_spec(home=f"{s3_bucket.url}/home")
    with pytest.raises(InputError, match="no Object Lock"):
        run_pipeline(tiny.spec)
    assert list(s3_bucket.store("home").list("media/")) == []


def test_a_run_locks_its_tag_and_the_command_locks_it_longer(
    tmp_path: Path,
    s3_endpoint: S3Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bucket = s3_endpoint.new_bucket(locks=True)
    for name, value in s3_endpoint.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRAINSET_STATE", str(tmp_path / "state"))
    tiny = make_tiny_source(tmp_path, pictures=2)
    tiny.write_spec(home=f"{bucket.url}/home", lock_tags={"days": 3}, exports={})
    assert run_pipeline(tiny.spec).tag == "v1"
    store = bucket.store("home")
    for folder in ("media/", "thumbs/", "tables/", "meta/", "provenance/", "repo.git/objects/"):
        names = [info.key for info in store.list(folder)]
        key = next(n for n in names if folder not in IN_PARTS or n.endswith(".parquet"))
        until = store.named("head_object", key).get("ObjectLockRetainUntilDate")
        assert until is not None, folder
        assert until < datetime.now(UTC) + timedelta(days=4)
    command = ["lock", tiny.spec.home, "--ref", "v1", "--days", "9", "--format", "json"]
    assert trainset_command(command) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["extended"] == said["objects"] > 10
