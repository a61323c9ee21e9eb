"""Which files of a source are media, and what is left out."""

from __future__ import annotations

import os
import socket
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from services.s3_endpoint import S3Bucket
from transfer_bench import ordinary_user

from trainset.errors import AccessDenied, InputError, NotFound
from trainset.spec import MediaSource
from trainset.stores import open_source, open_store
from trainset.stores.base import ObjectInfo
from trainset.stores.local import LocalStore
from trainset.transfer import list_source


def source(folder: str, **fields: object) -> MediaSource:
    return MediaSource.model_validate({"name": "cam", "from": folder, **fields})


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def paths(spec: MediaSource, home: str | None = None) -> list[str]:
    return [f.path for f in list_source(spec, open_store(spec.from_), home=home)]


def test_hidden_files_and_the_home_inside_the_source_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", ".hidden", ".git/x", "b/.DS_Store", "b/c.jpg")
    write(tmp_path, "out/demo/trainset.json", "out/demo/media/aa/aaa", "out/demo2/d.jpg")
    spec = source(str(tmp_path))
    listed = paths(spec, home=str(tmp_path / "out" / "demo"))
    assert listed == ["a.jpg", "b/c.jpg", "out/demo2/d.jpg"]


def test_a_home_that_is_the_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="same place"):
        paths(source(str(tmp_path)), home=str(tmp_path))


def test_the_home_inside_a_bucket_source_is_left_out(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store("raw")
    for key in ("a.jpg", "home/trainset.json", "homes/b.jpg"):
        store.put(key, b"x")
    spec = source(f"s3://{s3_bucket.name}/raw")
    listed = list_source(spec, store, home=f"b2://{s3_bucket.name}/raw/home/")
    assert [f.path for f in listed] == ["a.jpg", "homes/b.jpg"]


def test_include_and_exclude_say_what_is_taken(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "b.txt", "x/c.jpg", "x/tmp/d.jpg")
    spec = source(str(tmp_path), include=["**/*.jpg"], exclude=["**/tmp/**"])
    files = list(list_source(spec, open_store(spec.from_)))
    assert [(f.key, f.uri, f.size) for f in files] == [
        ("cam/a.jpg", str(tmp_path / "a.jpg"), 5),
        ("cam/x/c.jpg", str(tmp_path / "x/c.jpg"), 7),
    ]
    assert files[0].version == str(os.stat(tmp_path / "a.jpg").st_mtime_ns)


def test_a_source_that_is_not_there_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="unmounted"):
        paths(source(str(tmp_path / "unmounted")))


def test_linked_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/a.jpg", "src/b/c.jpg")
    (tmp_path / "src" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "src" / "b" / "up").symlink_to(tmp_path / "src")
    os.mkfifo(tmp_path / "src" / "pipe")
    assert paths(source(str(tmp_path / "src"))) == ["b/c.jpg", "link/a.jpg"]


def test_an_unreadable_folder_is_told_or_ends_the_listing() -> None:
    with ordinary_user() as folder:
        write(folder, "a/1.jpg", "locked/2.jpg", "z.jpg")
        (folder / "locked").chmod(0)
        spec, store = source(str(folder)), LocalStore(folder)
        told: list[tuple[str, str]] = []
        listed = list_source(spec, store, on_unreadable=lambda *told_of: told.append(told_of))
        assert [f.path for f in listed] == ["a/1.jpg", "z.jpg"]
        with pytest.raises(AccessDenied, match="locked"):
            list(list_source(spec, store))
        (folder / "locked").chmod(0o700)
    assert told[0][0] == "cam/locked/"
    assert "permission" in told[0][1]


def refusals(spec: MediaSource, store: object) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    listed = list_source(
        spec,
        store,  # type: ignore[arg-type]
        on_refused=lambda key, kind, reason: told.append((key, kind)),
    )
    assert [f.path for f in listed] == ["a.jpg"]
    return told


def test_special_files_are_told_of_unless_a_rule_leaves_them_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.jpg")
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b" / "pipe")
    os.mkfifo(tmp_path / ".hidden")
    os.mkfifo(tmp_path / "b" / "left.out")
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
    told = refusals(source(str(tmp_path), exclude=["**/*.out"]), LocalStore(tmp_path))
    assert told == [("cam/b/pipe", "special-file"), ("cam/sock", "special-file")]


def test_names_that_are_no_keys_are_told_of(tmp_path: Path, s3_bucket: S3Bucket) -> None:
    write(tmp_path, "a.jpg")
    deep = tmp_path
    for _ in range(5):
        deep = deep / ("x" * 250)
        deep.mkdir()
    (deep / "y.jpg").write_text("y")
    told = refusals(source(str(tmp_path)), LocalStore(tmp_path))
    assert [(len(key) > 1024, kind) for key, kind in told] == [(True, "bad-name")]

    store = s3_bucket.store("raw")
    for name in ("raw/a.jpg", "raw//b.jpg", "raw/c/../d.jpg"):
        store.client.put_object(Bucket=s3_bucket.name, Key=name, Body=b"x")
    told = refusals(source(s3_bucket.url), store)
    assert told == [("cam//b.jpg", "bad-name"), ("cam/c/../d.jpg", "bad-name")]


def test_hidden_folders_and_the_home_are_not_even_opened() -> None:
    with ordinary_user() as folder:
        write(folder, "a.jpg", ".snapshot/old/a.jpg", "home/x.jpg")
        for name in (".snapshot", "home"):
            (folder / name).chmod(0)
        spec, store = source(str(folder)), LocalStore(folder)
        listed = list_source(spec, store, home=str(folder / "home"))
        assert [f.path for f in listed] == ["a.jpg"]
        for name in (".snapshot", "home"):
            (folder / name).chmod(0o700)


def test_a_folder_of_any_depth_is_listed(tmp_path: Path) -> None:
    names = ["d"] * 450 + ["z.jpg"]
    (tmp_path / "/".join(names[:-1])).mkdir(parents=True)
    write(tmp_path, "/".join(names))
    assert paths(source(str(tmp_path))) == ["/".join(names)]


def test_a_mount_that_goes_away_does_not_look_like_deleted_files(tmp_path: Path) -> None:
    root = tmp_path / "nas"
    write(root, "a.jpg", "b/c.jpg")
    listed = list_source(source(str(root)), LocalStore(root))
    assert next(listed).path == "a.jpg"
    root.rename(tmp_path / "elsewhere")
    root.mkdir()
    with pytest.raises(NotFound, match="went away"):
        list(listed)


def test_the_listing_starts_after_a_path(tmp_path: Path, s3_bucket: S3Bucket) -> None:
    write(tmp_path, "a.jpg", "b/c.jpg", "b/d.jpg", "e.jpg")
    store = s3_bucket.store()
    for name in ("a.jpg", "b/c.jpg", "b/d.jpg", "e.jpg"):
        store.put(name, b"x")
    for place in (LocalStore(tmp_path), store):
        listed = list_source(source(place.url), place, start_after="b/c.jpg")
        assert [f.path for f in listed] == ["b/d.jpg", "e.jpg"]


def test_other_kinds_of_sources_are_listed_alike(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("b.jpg", "a/c.jpg", ".hidden/d.jpg", "e.txt"):
            archive.writestr(name, name)
    spec = source(f"zip://::file://{tmp_path}/x.zip", include=["**/*.jpg"])
    files = list(list_source(spec, open_source(spec.from_), home=str(tmp_path)))
    assert [(f.key, f.size) for f in files] == [("cam/a/c.jpg", 7), ("cam/b.jpg", 5)]
    assert files[0].uri == f"zip://a/c.jpg::file://{tmp_path}/x.zip"


class Endless:
    """A store of many objects that keeps none of them."""

    url = "many://x"

    def __init__(self, count: int) -> None:
        self.count = count

    def uri(self, key: str) -> str:
        return f"{self.url}/{key}"

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        for n in range(self.count):
            yield ObjectInfo(
                key=f"{n:07}.jpg", size=n, version=f"e{n}", version_id=f"v{n}", modified=at
            )


def test_a_long_listing_needs_constant_memory(tmp_path: Path) -> None:
    listed = list_source(source("many://x"), Endless(200_000))  # type: ignore[arg-type]
    first = next(listed)
    assert (first.version, first.version_id) == ("e0", "v0")
    tracemalloc.start()
    try:
        assert sum(1 for _ in listed) == 199_999
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
