"""What a bucket lets this key do, found by trying it; for ``python -m flows doctor``."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from pydantic import Field

from trainset.errors import AccessDenied, InputError, TrainsetError
from trainset.model import Credentials, Frozen
from trainset.stores.retry import Retrier
from trainset.stores.s3 import S3Store

# What a PUT with If-None-Match did on an object that exists. "ignored" would overwrite it.
Conditional = Literal["supported", "refused", "ignored", "unknown"]
Versioning = Literal["on", "off", "unknown"]


class BucketFacts(Frozen):
    """What was seen. ``refused`` names what did not work and why; the rest is null or unknown then.

    Attributes:
        clock_skew_s: this machine's clock less the server's, in seconds.
        expiring: prefixes whose current objects a lifecycle rule removes; None: not readable.
        keeps_old: whether old versions stay for ever (no rule removes them); None: not readable.
    """

    region: str
    refused: dict[str, str] = Field(default_factory=dict)
    conditional_put: Conditional = "unknown"
    versioning: Versioning = "unknown"
    clock_skew_s: float | None = None
    expiring: tuple[str, ...] | None = None
    keeps_old: bool | None = None


def probe_bucket(
    bucket: str, prefix: str, credentials: Credentials, *, now: datetime
) -> BucketFacts:
    """List, put, get and delete one small object below ``prefix``, and read the bucket's settings.

    The object is named ``.trainset-probe/<random>`` and is removed with all its versions. Problems
    are facts here, not errors: what the server said stands in ``refused``.

    Args:
        now: this machine's clock, timezone-aware.
    """
    store = S3Store(bucket, prefix, credentials, retrier=Retrier(attempts=2, throttle_s=10))
    facts: dict[str, Any] = {"region": store.client.meta.region_name}
    refused: dict[str, str] = {}

    def trying(what: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except TrainsetError as err:
            refused[what] = str(err)
            return None

    reply = trying("list", lambda: _call(store, "list_objects_v2", MaxKeys=1, Prefix=prefix))
    if reply is not None:
        facts["clock_skew_s"] = _skew(reply, now)
        _try_object(store, trying, facts)
        _read_settings(store, facts)
    return BucketFacts(**facts, refused=refused)


def _try_object(store: S3Store, trying: Callable[..., Any], facts: dict[str, Any]) -> None:
    key, body = f".trainset-probe/{secrets.token_hex(8)}", b"trainset doctor\n"
    if trying("put", lambda: store.put(key, body)) is None:
        return
    if trying("get", lambda: store.get(key)) not in (None, body):
        trying("get", lambda: _differs(key))
    facts["conditional_put"] = _conditional(store, key)
    trying("delete", lambda: _delete_all(store, key))


def _differs(key: str) -> None:
    raise InputError(f"{key!r} came back with other bytes than were sent; tell the store's support")


def _conditional(store: S3Store, key: str) -> Conditional:
    try:
        store.request("put", key, lambda: store.named("put_object", key, Body=b"", IfNoneMatch="*"))
    except TrainsetError as err:
        reply: dict[str, Any] = getattr(err.__cause__, "response", {})
        status = reply.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status == 412:
            return "supported"
        return "refused" if status in (400, 501) else "unknown"
    return "ignored"


def _delete_all(store: S3Store, key: str) -> None:
    """Delete the probe with every version and hide marker of it."""
    store.delete(key)
    name = store.full_key(key)
    reply = _call(store, "list_object_versions", Prefix=name)
    for version in (*reply.get("Versions", ()), *reply.get("DeleteMarkers", ())):
        which = {"Key": name, "VersionId": version["VersionId"]}
        _call(store, "delete_object", **which)


def _read_settings(store: S3Store, facts: dict[str, Any]) -> None:
    try:
        status = _call(store, "get_bucket_versioning").get("Status")
        facts["versioning"] = "on" if status == "Enabled" else "off"
    except (AccessDenied, InputError):
        pass  # stays unknown: the key may not read the bucket's settings, or the store has none
    try:
        rules = _call(store, "get_bucket_lifecycle_configuration").get("Rules", [])
    except AccessDenied:
        return
    except InputError as err:
        if "NoSuchLifecycleConfiguration" not in str(err):
            return
        rules = []
    rules = [rule for rule in rules if rule.get("Status") == "Enabled"]
    facts["expiring"] = tuple(_prefix(rule) for rule in rules if "Expiration" in rule)
    facts["keeps_old"] = not any("NoncurrentVersionExpiration" in rule for rule in rules)


def _prefix(rule: dict[str, Any]) -> str:
    return str(rule.get("Prefix") or rule.get("Filter", {}).get("Prefix") or "")


def _call(store: S3Store, operation: str, **arguments: Any) -> Any:
    method = getattr(store.client, operation)
    return store.request(operation, "", lambda: method(Bucket=store.bucket, **arguments))


def _skew(reply: dict[str, Any], now: datetime) -> float | None:
    date = reply.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return (now - parsedate_to_datetime(date).astimezone(UTC)).total_seconds() if date else None
