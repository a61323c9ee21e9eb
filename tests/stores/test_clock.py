"""A machine whose clock is wrong: the offset is learnt from the server once, for all."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from services.s3_endpoint import S3Bucket

from trainset.errors import AccessDenied, StaleSignature
from trainset.model import StoreOptions
from trainset.stores import clock
from trainset.stores.clock import ServerClock, clock_of
from trainset.stores.s3 import S3Store

HOUR = 3600.0


@pytest.fixture(params=["fast", "boto3"])
def store(
    request: pytest.FixtureRequest, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> Iterator[S3Store]:
    """A store on a machine that is an hour off; a real server refuses 15 minutes (Ceph)."""
    if s3_bucket.endpoint.kind != "ceph":
        pytest.skip("this server does not look at the time")
    keys = s3_bucket.endpoint.credentials
    store = S3Store(s3_bucket.name, "", keys, options=StoreOptions(sender=request.param))
    monkeypatch.setattr(clock, "_wall", lambda: time.time() + HOUR)
    clock_of(store.endpoint).offset_s = 0.0
    s3_bucket.proxy.reset()
    yield store
    clock_of(store.endpoint).offset_s = 0.0


def _refused(bucket: S3Bucket) -> int:
    return sum(r.status == 403 for r in bucket.proxy.requests)


def test_requests_are_signed_by_the_clock_of_the_server_once_it_is_known(
    store: S3Store, s3_bucket: S3Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        store.put("a", b"1")
    assert _refused(s3_bucket) == 1
    assert "3600 s ahead of" in caplog.text.replace("3599", "3600").replace("3601", "3600")
    assert store.get("a") == b"1"
    assert [info.key for info in store.list()] == ["a"]
    assert store.head("a") is not None
    assert _refused(s3_bucket) == 1, "learnt once, for every operation"
    assert len(store.list_versions("a")) == 1


def test_a_head_that_is_refused_without_words_is_understood(
    store: S3Store, s3_bucket: S3Bucket
) -> None:
    assert store.head("nothing") is None
    assert _refused(s3_bucket) == 1


def test_workers_and_other_stores_share_what_one_has_learnt(
    store: S3Store, s3_bucket: S3Bucket
) -> None:
    store.put("first", b"1")
    other = S3Store(s3_bucket.name, "", s3_bucket.endpoint.credentials)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: other.put(f"{n}", b"1"), range(40)))
    assert _refused(s3_bucket) == 1


def test_parts_of_a_large_object_are_signed_by_it_too(s3_bucket: S3Bucket, store: S3Store) -> None:
    store.multipart_bytes = 5 * 2**20
    data = bytes(11 * 2**20)
    info, _ = store.put_ranges("large", len(data), lambda start, n: data[start : start + n])
    assert info.size == len(data)
    assert _refused(s3_bucket) == 1


def test_a_refusal_that_is_not_about_time_stays_one(s3_bucket: S3Bucket) -> None:
    keys = s3_bucket.endpoint.credentials.model_copy(update={"key_id": "nobody"})
    with pytest.raises(AccessDenied) as caught:
        S3Store(s3_bucket.name, "", keys).head("a")
    assert not isinstance(caught.value, StaleSignature)


def test_a_server_that_does_not_say_its_time_changes_nothing() -> None:
    found = ServerClock("https://s3.example")
    found.learn(None)
    assert found.offset_s == 0.0


def test_small_differences_are_not_learnt_again(caplog: pytest.LogCaptureFixture) -> None:
    found: Any = ServerClock("https://s3.example")
    found.learn(time.time() + 3600)
    offset = found.offset_s
    found.learn(time.time() + 3601)  # a Date header has whole seconds
    assert found.offset_s == offset
    assert len(caplog.records) == 1
