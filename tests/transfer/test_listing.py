"""Which files of a source are media, and what is left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from services.s3_endpoint import S3Bucket
from transfer_bench import ordinary_user

from trainset.errors import AccessDenied, InputError, NotFound
from trainset.spec import MediaSource
from trainset.stores import open_store
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
