"""The ``ObjectStore`` contract, over every implementation."""

from __future__ import annotations

import hashlib
import io
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainset.errors import ChecksumMismatch, InputError, NotFound
from trainset.stores.base import ObjectStore
from trainset.stores.local import LocalStore


@pytest.fixture(params=["local", "s3", "s3-prefix"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        (tmp_path / "root").mkdir()
        return LocalStore(tmp_path / "root")
    bucket = request.getfixturevalue("s3_bucket")
    return bucket.store("some/prefix" if request.param == "s3-prefix" else "")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_what_is_put_is_got(store: ObjectStore) -> None:
    info = store.put("a/b.bin", b"hello", sha256=sha256(b"hello"), content_type="text/plain")
    assert (info.key, info.size, info.sha256) == ("a/b.bin", 5, sha256(b"hello"))
    assert store.get("a/b.bin") == b"hello"
    with store.open("a/b.bin") as handle:
        assert handle.read(2) == b"he"
        assert handle.read() == b"llo"
    head = store.head("a/b.bin")
    assert head is not None
    assert (head.size, head.version) == (5, info.version)
    assert head.modified.tzinfo is not None


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put("empty", b"", sha256=sha256(b""))
    assert store.get("empty") == b""
    with store.open("empty") as handle:
        assert handle.read() == b""


def test_ranges_end_where_the_object_ends(store: ObjectStore) -> None:
    store.put("r", b"0123456789")
    assert store.get("r", start=3) == b"3456789"
    assert store.get("r", start=3, length=2) == b"34"
    assert store.get("r", start=8, length=100) == b"89"
    assert store.get("r", start=10) == b""
    assert store.get("r", length=0) == b""


def test_a_missing_key_is_not_found(store: ObjectStore, tmp_path: Path) -> None:
    assert store.head("no/such") is None
    calls: list[Callable[[], object]] = [
        lambda: store.get("no/such"),
        lambda: store.get("no/such", length=0),
        lambda: store.open("no/such"),
        lambda: store.fetch_file("no/such", tmp_path / "x"),
    ]
    for call in calls:
        with pytest.raises(NotFound, match="no/such"):
            call()
    assert not (tmp_path / "x").exists()
    store.delete("no/such")


def test_put_replaces_and_delete_removes(store: ObjectStore) -> None:
    first = store.put("k", b"one")
    second = store.put("k", b"other")
    assert store.get("k") == b"other"
    assert first.version != second.version
    store.delete("k")
    assert store.head("k") is None
    assert list(store.list()) == []


def test_wrong_bytes_are_refused_and_not_stored(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"hello")
    for put in (
        lambda: store.put("k", b"hello", sha256=sha256(b"other")),
        lambda: store.put_file("k", tmp_path / "f", sha256=sha256(b"other")),
    ):
        with pytest.raises(ChecksumMismatch) as caught:
            put()
        assert caught.value.expected == sha256(b"other")
        assert caught.value.found == sha256(b"hello")
        assert pickle.loads(pickle.dumps(caught.value)).key == "k"
    assert store.head("k") is None
    assert list(store.list()) == []


@pytest.mark.parametrize("checked", [True, False])
def test_files_go_in_and_come_out(store: ObjectStore, tmp_path: Path, checked: bool) -> None:
    data = random.Random(1).randbytes(3 * 2**20 + 17)
    (tmp_path / "in").write_bytes(data)
    info = store.put_file("big", tmp_path / "in", sha256=sha256(data) if checked else None)
    assert info.size == len(data)
    store.fetch_file("big", tmp_path / "deep" / "out", sha256=sha256(data) if checked else None)
    assert (tmp_path / "deep" / "out").read_bytes() == data
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]
    with store.open("big") as handle:
        assert io.BytesIO(handle.read()).getvalue() == data


def test_a_file_of_other_bytes_does_not_come_out(store: ObjectStore, tmp_path: Path) -> None:
    store.put("k", b"hello")
    out = tmp_path / "deep" / "out"
    out.parent.mkdir()
    out.write_bytes(b"before")
    with pytest.raises(ChecksumMismatch) as caught:
        store.fetch_file("k", out, sha256=sha256(b"other"))
    assert (caught.value.expected, caught.value.found) == (sha256(b"other"), sha256(b"hello"))
    assert out.read_bytes() == b"before"
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_bad_keys_are_refused(store: ObjectStore) -> None:
    for key in ("", "/a", "../a", "a/../b", "a\0b", "x" * 1025, "é" * 600):
        with pytest.raises(InputError, match="no valid key"):
            store.put(key, b"")


AWKWARD = [
    "a b",
    "a+b",
    "a%20b",
    "ü/ö",
    "#?&=",
    "日本/語",
    "a;b",
    "quote'\"",
    "-",
    "~",
    ".h/.i",
    "👍",
]


def test_awkward_keys_come_back_as_they_went(store: ObjectStore) -> None:
    for key in AWKWARD:
        store.put(key, key.encode(), sha256=sha256(key.encode()))
    assert {k: store.get(k) for k in AWKWARD} == {k: k.encode() for k in AWKWARD}
    assert [i.key for i in store.list()] == sorted(AWKWARD, key=str.encode)


def test_list_ascends_in_byte_order_with_prefix_and_start(store: ObjectStore) -> None:
    keys = [
        "a",
        "a-b",
        "a.txt",
        "b/a",
        "b/a0/z",
        "b-",
        "b0",
        "B",
        "ab/1",
        "ab/2",
        "é",
        "z",
    ]
    keys += ["c/d/1", "c/d/2", "c/d!x", "c/e", "\uffee", "\U0001f44d"]
    for key in keys:
        store.put(key, b"1")
    ordered = sorted(set(keys), key=str.encode)
    assert [i.key for i in store.list()] == ordered
    for prefix in ("", "a", "ab/", "b/", "c/d", "c/d/", "zz"):
        fitting = [k for k in ordered if k.startswith(prefix)]
        assert [i.key for i in store.list(prefix)] == fitting
        for after in ("", "a", "ab/1", "b/", "c/d/1", "c/d0", "é"):
            wanted = [k for k in fitting if k.encode() > after.encode()]
            assert [i.key for i in store.list(prefix, start_after=after)] == wanted


def test_a_listing_agrees_with_head(store: ObjectStore) -> None:
    store.put("x/1", b"abc")
    (listed,) = store.list()
    head = store.head("x/1")
    assert head is not None
    assert (listed.size, listed.version) == (head.size, head.version)


def test_a_root_that_is_not_there_is_not_empty(store: ObjectStore, tmp_path: Path) -> None:
    absent: ObjectStore
    if isinstance(store, LocalStore):
        absent = LocalStore(tmp_path / "unmounted")
    else:
        absent = type(store)("no-such-bucket-here", "", store._credentials)  # type: ignore[attr-defined, call-arg]
    with pytest.raises(NotFound, match=r"unmounted|no-such-bucket"):
        list(absent.list())


def test_uris_and_secrets(store: ObjectStore) -> None:
    assert store.uri("a/b").startswith(store.url)
    assert "testsecret" not in repr(store) + str(vars(store).get("_credentials"))
    options = store.storage_options()
    assert bool(options) is (store.local_path("a") is None)
    if options:
        assert options["allow_http"] == "true"
        assert options["aws_endpoint"].startswith("http://127.0.0.1")


NAMES = st.text(st.sampled_from("ab-./0é"), min_size=1, max_size=6).filter(
    lambda k: (
        not k.startswith("/")
        and not k.endswith("/")
        and "//" not in k
        and not ({".", ".."} & set(k.split("/")))
    )
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(keys=st.sets(NAMES, max_size=12), prefix=st.text("ab-./", max_size=2), after=NAMES)
def test_a_folder_lists_like_a_sorted_set_of_keys(
    tmp_path_factory: pytest.TempPathFactory, keys: set[str], prefix: str, after: str
) -> None:
    store = LocalStore(tmp_path_factory.mktemp("walk"))
    kept: set[str] = set()
    for key in sorted(keys):
        if any(key.startswith(k + "/") or k.startswith(key + "/") for k in kept):
            continue  # a folder cannot hold a file and a folder of one name
        store.put(key, b"")
        kept.add(key)
    wanted = [k for k in sorted(kept, key=str.encode) if k.startswith(prefix)]
    assert [i.key for i in store.list(prefix)] == wanted
    assert [i.key for i in store.list(prefix, start_after=after)] == [
        k for k in wanted if k > after
    ]
