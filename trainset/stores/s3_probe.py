"""What a bucket lets this key do, found by trying it; for the doctor and before a transfer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from pydantic import Field

from trainset.errors import TrainsetError
from trainset.model import Credentials, Frozen, Protection
from trainset.stores.retry import Retrier
from trainset.stores.s3 import S3Store
from trainset.stores.s3_probe_object import Conditional, try_lock, try_object, try_read
from trainset.stores.s3_settings import BucketSettings, Versioning, call, read_settings

CustomerKey = Literal["none", "good", "bad"]


class BucketFacts(Frozen):
    """What was seen. ``refused`` names what did not work and why; the rest is null or unknown then.

    Attributes:
        refused: by what was tried: list, put, get, delete, lock.
        not_tried: what was left alone, and why.
        clock_skew_s: this machine's clock less the server's, in seconds.
        expiring: prefixes whose current objects a lifecycle rule removes; None: not readable.
        keeps_old: whether old versions stay for ever (no rule removes them); None: not readable.
        deletes_versions: whether the key may delete for good; tried on the probe object alone.
        left_behind: versions of the probe object that could not be deleted.
        checks_sha256: whether the server compares the signed sha256 with the bytes.
        checksum_headers: whether it takes ``x-amz-checksum-…`` on a PUT.
        locked_probe: the version that was locked on purpose, by its key; it stays for a day.
        customer_key: whether the credentials' own key for SSE-C is there, and is one.
    """

    region: str
    endpoint: str = ""
    bucket: str = ""
    prefix: str = ""
    refused: dict[str, str] = Field(default_factory=dict)
    not_tried: dict[str, str] = Field(default_factory=dict)
    conditional_put: Conditional = "unknown"
    versioning: Versioning = "unknown"
    clock_skew_s: float | None = None
    expiring: tuple[str, ...] | None = None
    keeps_old: bool | None = None
    settings: BucketSettings = BucketSettings()
    deletes_versions: bool | None = None
    left_behind: int = 0
    checks_sha256: bool | None = None
    checksum_headers: bool | None = None
    locked_probe: str | None = None
    customer_key: CustomerKey = "none"


def probe_bucket(
    bucket: str, prefix: str, credentials: Credentials, *, now: datetime
) -> BucketFacts:
    """As ``probe_store``, for a bucket that no store is open on."""
    return probe_store(S3Store(bucket, prefix, credentials), now=now)


def probe_store(
    store: S3Store, *, now: datetime, write: bool = True, probe_lock: bool = False
) -> BucketFacts:
    """List, put, get and delete one small object below the prefix; read the bucket's settings.

    The object is named ``.trainset-probe/<random>`` and is removed with all its versions, as far
    as the key may. Nothing is written where the bucket would lock it. Problems are facts here, not
    errors: what the server said stands in ``refused``.

    Args:
        now: this machine's clock, timezone-aware.
        write: False: look only, as at a bucket that media are read from.
        probe_lock: also write an object that governance locks for a day: it stays that long.
    """
    probing = _unlocked(store)
    facts: dict[str, Any] = {
        "region": store.client.meta.region_name,
        "endpoint": store.endpoint,
        "bucket": store.bucket,
        "prefix": store.prefix,
        "customer_key": _customer_key(store),
        "not_tried": {},
    }
    refused: dict[str, str] = {}

    def trying(what: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except TrainsetError as err:
            refused[what] = str(err)
            return None

    reply = trying("list", lambda: call(probing, "list_objects_v2", MaxKeys=1, Prefix=store.root))
    if reply is not None:
        facts["clock_skew_s"] = _skew(reply, now)
        settings = read_settings(probing)
        facts |= {
            "settings": settings,
            "versioning": settings.versioning,
            "expiring": settings.expiring,
            "keeps_old": None if settings.expiring_old is None else not settings.expiring_old,
        }
        if why := _may_not_write(write, settings, store.options.protection):
            facts["not_tried"]["put"] = why
            try_read(probing, reply, trying)
        else:
            try_object(probing, trying, facts)
            if probe_lock:
                try_lock(probing, now, trying, facts)
    return BucketFacts(**facts, refused=refused)


def _unlocked(store: S3Store) -> S3Store:
    """The same place, without the locks that its objects get, and with little patience."""
    keep = Protection(encryption=store.options.protection.encryption)
    return S3Store(
        store.bucket,
        store.prefix,
        store._credentials,
        retrier=Retrier(attempts=3, base_s=0.2, throttle_s=10),
        options=store.options.model_copy(update={"protection": keep}),
    )


def _may_not_write(write: bool, settings: BucketSettings, protection: Protection) -> str:
    """Why no object is written to find out more; "" when one may be."""
    if not write:
        return "media are only read here"
    lock = settings.lock
    if lock is not None and lock.default_days:
        return f"the bucket locks every new object for {lock.default_days} days"
    if lock is None and protection.locks:
        return "the bucket may lock every new object, and this key may not read whether it does"
    return ""


def is_customer_key(text: str) -> bool:
    """Whether it is a key for SSE-C: 32 bytes in base64."""
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


def _customer_key(store: S3Store) -> CustomerKey:
    key = store._credentials.customer_key
    if key is None:
        return "none"
    return "good" if is_customer_key(key.get_secret_value()) else "bad"


def _skew(reply: dict[str, Any], now: datetime) -> float | None:
    date = reply.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return (now - parsedate_to_datetime(date).astimezone(UTC)).total_seconds() if date else None
