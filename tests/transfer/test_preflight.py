"""A destination is looked at before anything moves: what lacks is named with its mend."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from services.s3_endpoint import S3Bucket

from trainset.errors import InputError
from trainset.model import Protection, StoreOptions
from trainset.stores import open_store
from trainset.stores.s3 import S3Store
from trainset.stores.s3_probe import BucketFacts, probe_store
from trainset.stores.s3_settings import BucketSettings, ObjectLock
from trainset.transfer.finding import Finding, Mode, require
from trainset.transfer.judge import judge
from trainset.transfer.preflight import check_destination, preflight

LOCKING = Protection(lock_days=30)
CUSTOMER = Protection(encryption="customer")
OWN = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
SETTINGS = BucketSettings(
    versioning="on",
    lock=ObjectLock(enabled=True),
    encryption="AES256",
    expiring=(),
    expiring_old=(),
    cancelling=("",),
    access_log="",
)
GOOD = BucketFacts(
    region="eu-central-003",
    endpoint="https://s3.eu-central-003.backblazeb2.com",
    bucket="b",
    prefix="homes/street",
    conditional_put="refused",
    versioning="on",
    clock_skew_s=0.5,
    expiring=(),
    keeps_old=True,
    settings=SETTINGS,
    deletes_versions=False,
    checks_sha256=True,
    checksum_headers=False,
)


def _now() -> datetime:
    return datetime.now(UTC)


def _facts(settings: dict[str, Any] | None = None, **changes: Any) -> BucketFacts:
    made = GOOD.settings.model_copy(update=settings or {})
    return GOOD.model_copy(update={"settings": made, **changes})


def _states(findings: list[Finding]) -> dict[str, str]:
    assert all(f.mend for f in findings if f.state != "ok")
    return {f.name: f.state for f in findings}


def test_a_bucket_that_has_all_that_is_asked_gives_no_warning() -> None:
    for mode in ("copy", "destination", "reference"):
        assert set(_states(judge(GOOD, LOCKING, mode)).values()) == {"ok"}


@pytest.mark.parametrize(
    ("facts", "protection", "mode", "name", "state", "capability"),
    [
        (
            _facts({"lock": ObjectLock(enabled=False)}),
            LOCKING,
            "copy",
            "object lock",
            "fail",
            "readB",
        ),
        (_facts({"lock": None}), LOCKING, "copy", "object lock", "warn", "readBucketRetentions"),
        (_facts(), LOCKING, "copy", "object lock", "ok", "writeFileRetentions"),
        (_facts(), Protection(legal_hold=True), "copy", "object lock", "ok", "writeFileLegalHolds"),
        (_facts({"encryption": None}), Protection(), "copy", "encryption", "warn", "readBucketEnc"),
        (_facts({"encryption": None}), Protection(encryption="b2"), "copy", "encryption", "ok", ""),
        (_facts(), CUSTOMER, "copy", "encryption", "fail", ""),
        (_facts(customer_key="bad"), CUSTOMER, "copy", "encryption", "fail", ""),
        (_facts(customer_key="good"), CUSTOMER, "copy", "encryption", "ok", ""),
        (
            _facts(customer_key="good", endpoint="http://s3.example"),
            CUSTOMER,
            "copy",
            "encryption",
            "fail",
            "",
        ),
        (_facts(expiring=None), Protection(), "copy", "lifecycle", "warn", "readBuckets"),
        (_facts(expiring=("homes/",)), Protection(), "copy", "lifecycle", "fail", ""),
        (_facts(expiring=("logs/",)), Protection(), "copy", "lifecycle", "ok", ""),
        (_facts({"expiring_old": ("",)}), Protection(), "copy", "lifecycle", "ok", ""),
        (_facts({"expiring_old": ("",)}), LOCKING, "copy", "lifecycle", "warn", ""),
        (_facts({"expiring_old": ("",)}), Protection(), "reference", "lifecycle", "fail", ""),
        (_facts({"expiring_old": ("x/",)}), Protection(), "reference", "lifecycle", "ok", ""),
        (_facts({"cancelling": ()}), Protection(), "copy", "unfinished uploads", "warn", ""),
        (_facts({"cancelling": ("homes/",)}), Protection(), "copy", "unfinished uploads", "ok", ""),
        (_facts(versioning="off"), Protection(), "copy", "versions", "warn", ""),
        (_facts(versioning="off"), Protection(), "reference", "versions", "fail", ""),
        (
            _facts(versioning="unknown"),
            Protection(),
            "reference",
            "versions",
            "warn",
            "readBuckets",
        ),
        (
            _facts({"access_log": None, "unread": {"access_log": "no"}}),
            Protection(),
            "copy",
            "access log",
            "warn",
            "readBucketLogging",
        ),
        (_facts(deletes_versions=True), LOCKING, "copy", "key", "warn", "deleteFiles"),
        (_facts(clock_skew_s=400.0), Protection(), "copy", "clock", "fail", ""),
        (_facts(not_tried={"put": "w"}), Protection(), "copy", "bucket", "warn", "writeFiles"),
        (_facts(refused={"put": "x; y"}), LOCKING, "copy", "bucket", "fail", "writeFiles"),
    ],
)
def test_what_facts_mean(
    facts: BucketFacts,
    protection: Protection,
    mode: Mode,
    name: str,
    state: str,
    capability: str,
) -> None:
    findings = judge(facts, protection, mode)
    assert _states(findings)[name] == state
    (found,) = [f for f in findings if f.name == name]
    assert (found.capability or "").startswith(capability)
    assert bool(found.capability) or not capability


@given(states=st.lists(st.sampled_from(["ok", "warn", "fail"]), max_size=6))
def test_one_error_lists_every_lack_and_nothing_else(states: list[Any]) -> None:
    findings = [
        Finding(name=f"n{i}", state=state, found=f"found{i}", mend=f"mend{i}.")
        for i, state in enumerate(states)
    ]
    bad = [i for i, state in enumerate(states) if state == "fail"]
    if not bad:
        return require(findings)
    with pytest.raises(InputError) as caught:
        require(findings)
    for i in range(len(states)):
        assert (f"n{i}: found{i}; mend{i}." in str(caught.value)) == (i in bad)


def test_a_folder_cannot_keep_a_promise_of_protection(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    assert check_destination(store, Protection(), now=_now()) == []
    with pytest.raises(InputError, match="can neither lock nor encrypt"):
        check_destination(store, LOCKING, now=_now())


@pytest.fixture
def locked(s3_bucket: S3Bucket) -> S3Bucket:
    """A bucket with Object Lock."""
    if s3_bucket.endpoint.kind == "moto":
        pytest.skip("Object Lock is tested on Ceph")
    bucket = replace(s3_bucket, name=f"{s3_bucket.name}-lock")
    bucket.endpoint._direct.create_bucket(Bucket=bucket.name, ObjectLockEnabledForBucket=True)
    return bucket


@pytest.fixture
def deny(s3_bucket: S3Bucket) -> Callable[[str], None]:
    """Take an action away from the key, by a policy of the bucket."""
    if s3_bucket.endpoint.kind == "moto":
        pytest.skip("moto heeds no policies")

    def take(action: str) -> None:
        arn = f"arn:aws:s3:::{s3_bucket.name}"
        rule = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": [f"s3:{action}"],
            "Resource": [arn, f"{arn}/*"],
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
        s3_bucket.endpoint._direct.put_bucket_policy(Bucket=s3_bucket.name, Policy=policy)

    return take


def _locking(bucket: S3Bucket, protection: Protection = LOCKING) -> S3Store:
    store = bucket.store("home")
    store.options = StoreOptions(protection=protection)
    return store


def _versions(bucket: S3Bucket) -> list[dict[str, Any]]:
    reply = bucket.endpoint._direct.list_object_versions(Bucket=bucket.name)
    return [*reply.get("Versions", ()), *reply.get("DeleteMarkers", ())]


def test_a_lock_needs_a_bucket_that_has_object_lock(s3_bucket: S3Bucket, locked: S3Bucket) -> None:
    with pytest.raises(InputError, match="object lock: the bucket has no Object Lock"):
        check_destination(_locking(s3_bucket), LOCKING, now=_now())
    warned = check_destination(_locking(locked), LOCKING, now=_now())
    assert {f.name for f in warned} == {"unfinished uploads", "key"}
    assert _versions(s3_bucket) == _versions(locked) == [], "looking leaves nothing behind"


def test_a_probe_is_never_locked_unless_it_is_asked_and_then_by_governance(
    locked: S3Bucket,
) -> None:
    compliance = Protection(lock="compliance", lock_days=3650)
    preflight(_locking(locked, compliance), protection=compliance, now=_now())
    assert _versions(locked) == []
    findings = preflight(
        _locking(locked, compliance), protection=compliance, now=_now(), probe_lock=True
    )
    assert "took a governance lock" in {f.name: f for f in findings}["object lock"].found
    (left,) = _versions(locked)
    direct = locked.endpoint._direct
    which = {"Bucket": locked.name, "Key": left["Key"], "VersionId": left["VersionId"]}
    kept = direct.get_object_retention(**which)["Retention"]
    assert kept["Mode"] == "GOVERNANCE"
    assert kept["RetainUntilDate"] < _now() + timedelta(days=1, minutes=5)
    direct.delete_object(**which, BypassGovernanceRetention=True)


def test_nothing_is_written_where_the_bucket_locks_every_object(locked: S3Bucket) -> None:
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 2}}
    locked.endpoint._direct.put_object_lock_configuration(
        Bucket=locked.name,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
    )
    findings = {f.name: f for f in preflight(_locking(locked), protection=LOCKING, now=_now())}
    assert "by default compliance for 2 days" in findings["object lock"].found
    assert findings["bucket"].state == "warn"
    assert "locks every new object for 2 days" in findings["bucket"].found
    assert _versions(locked) == []


def test_rules_that_would_delete_media_are_found(s3_bucket: S3Bucket) -> None:
    def rules(*actions: dict[str, Any]) -> dict[str, str]:
        made = [
            {"ID": str(i), "Status": "Enabled", "Filter": {"Prefix": "home/"}, **action}
            for i, action in enumerate(actions)
        ]
        s3_bucket.endpoint._direct.put_bucket_lifecycle_configuration(
            Bucket=s3_bucket.name, LifecycleConfiguration={"Rules": made}
        )
        store = s3_bucket.store("home")
        return _states(preflight(store, protection=Protection(), mode="reference", now=_now())) | {
            f"copy {f.name}": f.state for f in preflight(store, protection=Protection(), now=_now())
        }

    expiring = rules({"Expiration": {"Days": 5}})
    assert (expiring["lifecycle"], expiring["copy lifecycle"]) == ("fail", "fail")
    old = rules({"NoncurrentVersionExpiration": {"NoncurrentDays": 5}})
    assert (old["lifecycle"], old["copy lifecycle"]) == ("fail", "ok")
    assert old["copy unfinished uploads"] == "warn"
    cancels = rules({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}})
    assert (cancels["lifecycle"], cancels["copy unfinished uploads"]) == ("ok", "ok")


@pytest.mark.parametrize(
    ("action", "name", "state", "capability"),
    [
        ("PutObject", "bucket", "fail", "writeFiles"),
        ("GetObject", "bucket", "fail", "readFiles"),
        ("ListBucket", "bucket", "fail", "listFiles"),
        ("GetLifecycleConfiguration", "lifecycle", "warn", "readBuckets"),
        ("GetBucketVersioning", "versions", "warn", "readBuckets"),
        ("GetBucketLogging", "access log", "warn", "readBucketLogging"),
        ("ListBucketVersions", "key", "warn", "listFiles"),
        ("DeleteObjectVersion", "key", "ok", None),
    ],
)
def test_a_capability_that_the_key_lacks_is_named(
    s3_bucket: S3Bucket,
    deny: Callable[[str], None],
    action: str,
    name: str,
    state: str,
    capability: str | None,
) -> None:
    deny(action)
    store = s3_bucket.store("home")
    found = [f for f in preflight(store, protection=Protection(), now=_now()) if f.name == name]
    assert [(f.state, f.capability) for f in found] == [(state, capability)]
    if state == "fail":
        assert str(capability) in found[0].mend
        with pytest.raises(InputError, match="nothing was moved: bucket: "):
            check_destination(store, Protection(), now=_now())


def test_a_lock_configuration_that_may_not_be_read_is_no_reason_to_risk_a_locked_probe(
    s3_bucket: S3Bucket, deny: Callable[[str], None]
) -> None:
    deny("GetBucketObjectLockConfiguration")
    findings = _states(preflight(_locking(s3_bucket), protection=LOCKING, now=_now()))
    assert (findings["object lock"], findings["bucket"]) == ("warn", "warn")
    assert s3_bucket.proxy.stored() == {}


def test_a_bucket_of_reference_mode_is_only_read(s3_bucket: S3Bucket) -> None:
    store = s3_bucket.store("raw")
    store.put("a.bin", b"x")
    s3_bucket.proxy.reset()
    findings = preflight(store, protection=Protection(), mode="reference", now=_now())
    assert _states(findings)["bucket"] == "ok"
    assert set(s3_bucket.proxy.counts) == {"GET"}


def test_what_the_server_does_with_checks_is_seen(s3_bucket: S3Bucket) -> None:
    facts = probe_store(s3_bucket.store("home"), now=_now() - timedelta(hours=1))
    assert facts.refused == {}
    assert (facts.conditional_put, facts.checksum_headers) == ("refused", False), "as on B2"
    assert facts.checks_sha256 is (s3_bucket.endpoint.kind == "ceph")
    assert facts.clock_skew_s is not None
    assert -3700 < facts.clock_skew_s < -3500
    assert _versions(s3_bucket) == []


def test_no_finding_shows_a_key(s3_bucket: S3Bucket) -> None:
    secret = "K004-very-secret"
    wrong = s3_bucket.endpoint.credentials.model_copy(
        update={
            "key_id": "nobody",
            "application_key": SecretStr(secret),
            "customer_key": SecretStr(OWN),
        }
    )
    store = S3Store(s3_bucket.name, "home", wrong, options=StoreOptions(protection=CUSTOMER))
    said = str(preflight(store, protection=CUSTOMER, now=_now()))
    assert secret not in said
    assert OWN not in said
    if s3_bucket.endpoint.kind == "ceph":
        assert "endpoint" in said
        assert "region" in said
