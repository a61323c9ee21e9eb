"""A bucket's own settings: versions, Object Lock, encryption, lifecycle rules, access log.

Reading only. What a key may not read, or a store does not know, is a fact and no error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from trainset.errors import TrainsetError
from trainset.model import Frozen

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

Versioning = Literal["on", "off", "unknown"]

# What servers answer when a setting was never made: an answer, not a refusal.
_UNSET = {
    "ObjectLockConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
    "NoSuchLifecycleConfiguration",
}


class ObjectLock(Frozen):
    """Whether a bucket takes locks, and how it locks what is written without a word of it.

    ``default_days`` is None where there is no default; a default of years is told in days.
    """

    enabled: bool
    default_mode: Literal["governance", "compliance"] | None = None
    default_days: int | None = None


class BucketSettings(Frozen):
    """Settings that could be read; ``unread`` names the others, with the server's words.

    Attributes:
        expiring: prefixes whose current objects a lifecycle rule removes or hides.
        expiring_old: prefixes whose older versions a rule removes.
        cancelling: prefixes whose unfinished uploads a rule cancels.
        encryption: what new objects get by default: the algorithm, or "none".
        access_log: where the store writes who read what; "" = nowhere.
    """

    versioning: Versioning = "unknown"
    lock: ObjectLock | None = None
    encryption: str | None = None
    expiring: tuple[str, ...] | None = None
    expiring_old: tuple[str, ...] | None = None
    cancelling: tuple[str, ...] | None = None
    access_log: str | None = None
    unread: dict[str, str] = Field(default_factory=dict)


def read_settings(store: S3Store) -> BucketSettings:
    """Ask for each setting once."""
    found: dict[str, Any] = {}
    unread: dict[str, str] = {}

    def ask(what: str, operation: str) -> dict[str, Any] | None:
        try:
            reply: dict[str, Any] = call(store, operation)
        except TrainsetError as err:
            if _code(err) not in _UNSET:
                unread[what] = str(err)
                return None
            return {}
        return reply

    if (reply := ask("versioning", "get_bucket_versioning")) is not None:
        found["versioning"] = "on" if reply.get("Status") == "Enabled" else "off"
    if (reply := ask("lock", "get_object_lock_configuration")) is not None:
        found["lock"] = _lock(reply.get("ObjectLockConfiguration", {}))
    if (reply := ask("encryption", "get_bucket_encryption")) is not None:
        found["encryption"] = _encryption(reply.get("ServerSideEncryptionConfiguration", {}))
    if (reply := ask("lifecycle", "get_bucket_lifecycle_configuration")) is not None:
        found |= _lifecycle(reply.get("Rules", []))
    if (reply := ask("access_log", "get_bucket_logging")) is not None:
        target = reply.get("LoggingEnabled") or {}
        found["access_log"] = (
            f"{target['TargetBucket']}/{target.get('TargetPrefix', '')}" if target else ""
        )
    return BucketSettings(**found, unread=unread)


def call(store: S3Store, operation: str, **arguments: Any) -> Any:
    """One request about the bucket itself, with our errors and retries."""
    method: Callable[..., Any] = getattr(store.client, operation)
    return store.request(operation, "", lambda: method(Bucket=store.bucket, **arguments))


def _code(err: TrainsetError) -> str:
    """The server's own word for what it refused."""
    reply: dict[str, Any] = getattr(err.__cause__, "response", {})
    return str(reply.get("Error", {}).get("Code", ""))


def _lock(found: dict[str, Any]) -> ObjectLock:
    default = found.get("Rule", {}).get("DefaultRetention", {})
    days = default.get("Days") or 365 * default.get("Years", 0)
    return ObjectLock(
        enabled=found.get("ObjectLockEnabled") == "Enabled",
        default_mode=str(default["Mode"]).lower() if days else None,
        default_days=days or None,
    )


def _encryption(found: dict[str, Any]) -> str:
    for rule in found.get("Rules", ()):
        default = rule.get("ApplyServerSideEncryptionByDefault", {})
        if algorithm := default.get("SSEAlgorithm"):
            return str(algorithm)
    return "none"


def _lifecycle(rules: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    on = [rule for rule in rules if rule.get("Status") == "Enabled"]

    def prefixes(action: str) -> tuple[str, ...]:
        return tuple(_prefix(rule) for rule in on if action in rule and _removes(rule[action]))

    return {
        "expiring": prefixes("Expiration"),
        "expiring_old": prefixes("NoncurrentVersionExpiration"),
        "cancelling": prefixes("AbortIncompleteMultipartUpload"),
    }


def _removes(action: dict[str, Any]) -> bool:
    """Not a rule that only clears away hide markers with nothing behind them."""
    return set(action) != {"ExpiredObjectDeleteMarker"}


def _prefix(rule: dict[str, Any]) -> str:
    chosen = rule.get("Filter", {})
    both = chosen.get("And", {})
    return str(rule.get("Prefix") or chosen.get("Prefix") or both.get("Prefix") or "")
