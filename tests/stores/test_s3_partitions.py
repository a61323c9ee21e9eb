"""Listing a bucket by several requests at once."""

from __future__ import annotations

import copy
import random
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from services.s3_endpoint import S3Bucket

from trainset.errors import NotFound
from trainset.model import Credentials
from trainset.stores import s3_partitions
from trainset.stores.s3 import S3Store
from trainset.stores.s3_partitions import list_partitioned, partitions

KEYS = [
    *(f"a/{n:03}/x.jpg" for n in range(12)),
    *(f"b/deep/er/{n:02}.jpg" for n in range(25)),
    *(f"flat-{n:02}.jpg" for n in range(20)),
    "b/",
    "b.txt",
    "c/only/one/way/down/z.jpg",
    "ü/é.jpg",
]


class SmallPages:
    """The store's client with pages of a few keys."""

    def __init__(self, client: Any, keys: int) -> None:
        self._client, self._keys = client, keys

    def list_objects_v2(self, **query: Any) -> Any:
        return self._client.list_objects_v2(MaxKeys=self._keys, **query)


@pytest.fixture
def store(s3_bucket: S3Bucket) -> S3Store:
    """A bucket of 61 keys, listed in pages of 3."""
    store = s3_bucket.store("root")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b"x"), KEYS))
    s3_bucket.store("").put("root0", b"x")
    s3_bucket.store("").put("elsewhere", b"x")
    store.client = SmallPages(store.client, 3)
    s3_bucket.endpoint.proxy.reset()
    return store


def test_the_objects_and_their_order_are_those_of_a_plain_listing(store: S3Store) -> None:
    keys = sorted(KEYS, key=str.encode)
    assert [i.key for i in list_partitioned(store)] == keys
    assert list(list_partitioned(store)) == list(store.list())
    for prefix, after in [("b", ""), ("", "a/005/x.jpg"), ("a/", "a/01"), ("zz", ""), ("", "zz")]:
        wanted = [k for k in keys if k.startswith(prefix) and k.encode() > after.encode()]
        assert [i.key for i in list_partitioned(store, prefix, start_after=after)] == wanted


def test_partitions_hold_every_key_once(store: S3Store) -> None:
    for most in (2, 4, 64):
        found = partitions(store, most=most)
        assert 1 < len(found) <= most
        assert found[0].after == ""
        assert found[-1].upto == ""
        assert [p.after for p in found[1:]] == [p.upto for p in found[:-1]]
        assert [p.after for p in found] == sorted({p.after for p in found}, key=str.encode)
    assert partitions(store, "flat-") == [("", "")]
    assert len(partitions(store, start_after="a/003/x.jpg")) > 1


def test_a_small_bucket_costs_the_requests_of_a_plain_listing(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store()
    for n in range(5):
        store.put(f"{n}/x", b"x")
    s3_bucket.proxy.reset()
    assert len(list(list_partitioned(store))) == 5
    assert len(s3_bucket.proxy.requests) == 1


def test_splitting_costs_few_requests_more(store: S3Store, s3_bucket: S3Bucket) -> None:
    list(list_partitioned(store))
    assert len(s3_bucket.proxy.requests) <= 3 * (len(KEYS) // 3)


def test_pages_that_wait_are_few(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    ask = s3_partitions._ask

    def watched(*arguments: Any) -> None:
        ask(*arguments)
        held.append(sum(len(run.pages) for run in arguments[3]))

    monkeypatch.setattr(s3_partitions, "_ask", watched)
    monkeypatch.setattr(s3_partitions, "_PAGES", 6)
    assert len(list(list_partitioned(store))) == len(KEYS)
    assert max(held) <= 6 + 2


def test_faults_lose_no_key(store: S3Store, s3_bucket: S3Bucket) -> None:
    s3_bucket.proxy.faults.reset = 0.2
    assert len(list(list_partitioned(store))) == len(KEYS)
    assert s3_bucket.proxy.faults.injected > 0


def test_an_error_ends_the_listing(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store()
    store.bucket = "no-such-bucket-here"
    with pytest.raises(NotFound, match="no-such-bucket"):
        list(list_partitioned(store))


class Shelf:
    """A client with keys in memory that answers as S3 does, for many trees in little time."""

    def __init__(self, keys: list[str], page: int) -> None:
        self.keys, self.page = sorted(keys, key=str.encode), page

    def list_objects_v2(
        self, *, Bucket: str, Prefix: str, StartAfter: str = "", Delimiter: str = ""
    ) -> dict[str, Any]:
        items: list[dict[str, Any]] = []
        folders: list[str] = []
        for key in self.keys:
            if not key.startswith(Prefix) or key.encode() <= StartAfter.encode():
                continue
            if len(items) + len(folders) == self.page:
                return self._reply(items, folders, True)
            inner, slash, _ = key[len(Prefix) :].partition("/")
            if Delimiter and slash:
                if Prefix + inner + "/" not in folders:
                    folders.append(Prefix + inner + "/")
            else:
                items.append({"Key": key, "Size": 1, "ETag": '"e"', "LastModified": _WHEN})
        return self._reply(items, folders, False)

    def _reply(self, items: list[Any], folders: list[str], more: bool) -> dict[str, Any]:
        prefixes = [{"Prefix": folder} for folder in folders]
        return {"Contents": items, "CommonPrefixes": prefixes, "IsTruncated": more}


_WHEN = "2026-01-01T00:00:00Z"
KEY = st.text(st.sampled_from("ab/0.-é😀"), min_size=1, max_size=7)


@given(st.sets(KEY, max_size=30), st.integers(1, 3), st.integers(0, 2**16))
@settings(max_examples=80, deadline=None)
def test_any_tree_is_listed_whole_and_in_order(keys: set[str], page: int, seed: int) -> None:
    draw = random.Random(seed)
    some = sorted(keys) or [""]
    after = draw.choice(["", draw.choice(some)])
    prefix = draw.choice(["", draw.choice(some)[:2]])
    store = _shelved(sorted(keys), page)
    wanted = [
        key
        for key in sorted(keys, key=str.encode)
        if key.startswith(prefix) and key.encode() > after.encode()
    ]
    assert [i.key for i in list_partitioned(store, prefix, start_after=after)] == wanted


def _shelved(keys: list[str], page: int) -> S3Store:
    store = copy.copy(_template())
    store.client = Shelf(keys, page)
    return store


@cache
def _template() -> S3Store:
    login = Credentials(key_id="k", application_key=SecretStr("s"), endpoint="http://127.0.0.1:1")
    return S3Store("b", "", login)
