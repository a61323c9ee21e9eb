"""fsspec's systems as sources: memory, archives, and HDFS over a socket."""

from __future__ import annotations

import itertools
import random
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.webhdfs import WebHdfs

from trainset.errors import AccessDenied, InputError, NotFound, SourceChanged, TransientError
from trainset.stores.fsspec_errors import MissingDriver, translated
from trainset.stores.fsspec_info import kind_of, object_info
from trainset.stores.fsspec_store import FsspecStore
from trainset.stores.retry import Retrier
from trainset.stores.tree_walk import Watch

BIG = random.Random(5).randbytes(12 * 2**20 + 3)
_roots = itertools.count()
NAMES = st.text(st.sampled_from("ab.-0~ éü日😀"), min_size=1, max_size=4).filter(
    lambda name: name not in (".", "..")
)


@pytest.fixture
def hdfs(tmp_path: Path) -> Iterator[WebHdfs]:
    (tmp_path / "hdfs").mkdir()
    server = WebHdfs(tmp_path / "hdfs")
    yield server
    server.stop()


@pytest.fixture(params=["memory", "zip", "hdfs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FsspecStore:
    """a.jpg, a/b.jpg, a0.jpg, c/d/e.bin below some root."""
    files = {"a.jpg": b"1", "a/b.jpg": b"22", "a0.jpg": b"333", "c/d/e.bin": BIG}
    if request.param == "memory":
        return filled(files)
    if request.param == "zip":
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return FsspecStore(f"zip://::file://{tmp_path}/x.zip")
    server = request.getfixturevalue("hdfs")
    for name, data in files.items():
        (server.folder / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (server.folder / "root" / name).write_bytes(data)
    return FsspecStore(f"webhdfs://{server.host}/root")


def filled(files: dict[str, bytes]) -> FsspecStore:
    root = f"/r{next(_roots)}"
    memory = fsspec.filesystem("memory")
    memory.mkdir(root)
    for name, data in files.items():
        memory.pipe_file(f"{root}/{name}", data)
    return FsspecStore(f"memory:/{root}", retrier=Retrier(attempts=3, base_s=0.001, cap_s=0.01))


def test_a_tree_is_listed_in_byte_order(store: FsspecStore) -> None:
    infos = list(store.list())
    assert [(i.key, i.size) for i in infos] == [
        ("a.jpg", 1),
        ("a/b.jpg", 2),
        ("a0.jpg", 3),
        ("c/d/e.bin", len(BIG)),
    ]
    assert all(i.modified.tzinfo and i.version and not i.version.startswith("size") for i in infos)
    assert [i.key for i in store.list("a", start_after="a.jpg")] == ["a/b.jpg", "a0.jpg"]
    assert [i.key for i in store.list("c/d/")] == ["c/d/e.bin"]
    assert [store.head(i.key) for i in infos] == infos


def test_files_come_whole_and_in_ranges(store: FsspecStore, tmp_path: Path) -> None:
    key = "c/d/e.bin"
    assert store.get(key) == BIG
    assert store.get(key, start=3, length=2) == BIG[3:5]
    assert store.get(key, start=len(BIG) - 4, length=100) == BIG[-4:]
    assert store.get(key, start=len(BIG)) == b""
    assert store.get(key, length=0) == b""
    with store.open(key) as handle:
        assert handle.read(10) + handle.read() == BIG
    store.fetch_file(key, tmp_path / "deep" / "out")
    assert (tmp_path / "deep" / "out").read_bytes() == BIG
    assert store.uri("a.jpg").startswith(store.url.partition("::")[0])


def test_what_is_not_there_is_not_found(store: FsspecStore, tmp_path: Path) -> None:
    assert store.head("no/such") is None
    assert store.head("c") is None
    for call in (
        lambda: store.get("no/such"),
        lambda: store.get("no/such", length=0),
        lambda: store.open("no/such"),
        lambda: store.fetch_file("no/such", tmp_path / "x"),
    ):
        with pytest.raises(NotFound, match="no/such"):
            call()
    with pytest.raises(InputError, match="no valid key"):
        store.get("../a")


def test_threads_read_side_by_side(store: FsspecStore) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(store.get("c/d/e.bin"))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [BIG] * 6


@given(st.sets(st.tuples(NAMES, NAMES, NAMES), max_size=12), st.data())
@settings(max_examples=60, deadline=None)
def test_any_tree_is_listed_in_byte_order(paths: set[tuple[str, ...]], data: st.DataObject) -> None:
    names = {"/".join(parts[: data.draw(st.integers(1, 3))]) for parts in paths}
    names = {n for n in names if not any(other.startswith(n + "/") for other in names)}
    store = filled(dict.fromkeys(names, b"x"))
    keys = [i.key for i in store.list()]
    assert keys == sorted(names, key=str.encode)
    if keys:
        after = data.draw(st.sampled_from(keys))
        assert [i.key for i in store.list(start_after=after)] == keys[keys.index(after) + 1 :]
        assert [i.key for i in store.list(after[:2])] == [
            k for k in keys if k.startswith(after[:2])
        ]


def test_a_root_that_is_not_there_is_not_an_empty_one() -> None:
    with pytest.raises(NotFound, match="memory://nowhere"):
        list(FsspecStore("memory://nowhere").list())
    store = filled({"a.jpg": b"x"})
    with pytest.raises(InputError, match="is a file"):
        list(FsspecStore(f"{store.url}/a.jpg").list())


def test_a_listing_is_of_now(hdfs: WebHdfs) -> None:
    store = FsspecStore(f"webhdfs://{hdfs.host}/")
    (hdfs.folder / "a").write_bytes(b"1")
    assert [i.key for i in store.list()] == ["a"]
    (hdfs.folder / "b").write_bytes(b"2")
    assert [i.key for i in store.list()] == ["a", "b"]


def test_a_folder_that_may_not_be_read_is_told_or_ends_the_listing(hdfs: WebHdfs) -> None:
    for name in ("a/1", "locked/2", "z"):
        (hdfs.folder / name).parent.mkdir(exist_ok=True)
        (hdfs.folder / name).write_bytes(b"x")
    hdfs.forbidden = {"locked"}
    store = FsspecStore(f"webhdfs://{hdfs.host}/")
    told: dict[str, str] = {}
    assert [i.key for i in store.walk(watch=Watch(unreadable=told.__setitem__))] == ["a/1", "z"]
    assert set(told) == {"locked/"}
    with pytest.raises(AccessDenied, match="locked"):
        list(store.list())


def test_a_passing_fault_is_tried_again(hdfs: WebHdfs) -> None:
    (hdfs.folder / "a").write_bytes(b"1")
    store = FsspecStore(
        f"webhdfs://{hdfs.host}/", retrier=Retrier(attempts=4, base_s=0.001, cap_s=0.01)
    )
    hdfs.faults = 3
    assert store.get("a") == b"1"
    hdfs.faults = 9
    with pytest.raises(TransientError, match="run again"):
        store.get("a")


def test_a_stream_that_must_start_again_never_mixes_two_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = filled({"a": BIG})
    opened = store._open_at("a", store._need("a"), 4)
    assert opened.read(3) == BIG[4:7]
    first = store._need("a")
    fsspec.filesystem("memory").pipe_file(store.url.removeprefix("memory:/") + "/a", BIG)
    with pytest.raises(SourceChanged):
        store._open_at("a", first, 4)


def test_a_missing_driver_names_its_package() -> None:
    for url, package in {
        "gs://bucket/x": "gcsfs",
        "abfs://box/x": "adlfs",
        "sftp://host/x": "paramiko",
        "simplecache::webdav://host/x": "webdav4",
    }.items():
        with pytest.raises(MissingDriver, match=f"pip install {package}$") as caught:
            FsspecStore(url)
        assert caught.value.kind == "missing-extra"


def test_no_password_is_shown(hdfs: WebHdfs) -> None:
    store = FsspecStore("ftp://me:word@127.0.0.1:1/x", retrier=Retrier(attempts=1))
    with pytest.raises(TransientError) as caught:
        list(store.list())
    assert "word" not in f"{caught.value}{store!r}{store.uri('a')}"
    assert store.uri("a") == "ftp://127.0.0.1:1/x/a"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileNotFoundError("x"), NotFound),
        (PermissionError("x"), AccessDenied),
        (TimeoutError("x"), TransientError),
        (EOFError(), TransientError),
        (RuntimeError("odd"), TransientError),
        (NotImplementedError("x"), InputError),
    ],
)
def test_errors_of_drivers_become_ours(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="sftp://h/a") as caught, translated("sftp://h/a"):
        raise error
    assert caught.value.__cause__ is error


def test_the_version_is_the_best_that_a_driver_has() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    ns = str(int(at.timestamp()) * 10**9)
    cases: list[tuple[dict[str, object], str]] = [
        ({"etag": '"e"', "generation": "7", "mtime": at}, "e"),
        ({"generation": "7", "md5Hash": "m", "updated": "2026-01-02T03:04:05Z"}, "7"),
        ({"md5Hash": "m", "updated": "2026-01-02T03:04:05Z"}, "m"),
        ({"updated": "2026-01-02T03:04:05Z"}, ns),
        ({"mtime": at.timestamp()}, ns),
        ({"mtime": at.replace(tzinfo=None)}, ns),
        ({"modificationTime": int(at.timestamp() * 1000)}, ns),
        ({"modify": "20260102030405"}, ns),
        ({"date_time": (2026, 1, 2, 3, 4, 5)}, ns),
        ({}, "size-4"),
    ]
    for info, version in cases:
        found = object_info("k", {"size": 4, **info})
        assert found is not None
        assert found.version == version, info
    assert object_info("k", {"size": None}) is None
    assert [kind_of({"type": t}) for t in ("FILE", "dir", "symlink", "other")] == [
        "file",
        "folder",
        "link",
        "other",
    ]
