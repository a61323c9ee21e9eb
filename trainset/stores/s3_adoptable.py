"""Whether objects of a bucket may be adopted: nothing there may delete what a commit pins."""

from __future__ import annotations

import logging
from typing import Any

from trainset.errors import AccessDenied, InputError
from trainset.stores.base import ReadStore
from trainset.stores.s3 import S3Store

_log = logging.getLogger(__name__)


def check_adoptable(store: ReadStore) -> None:
    """Check the settings of a reference source's bucket; a folder has none.

    Warns (log) when the settings cannot be read with this key, and when the bucket keeps no old
    versions: an overwrite is then found out, but the old bytes are gone.

    Raises:
        InputError: a lifecycle rule removes objects, or old versions, below the source's prefix;
            names rule and prefix.
        TransientError: the store does not answer.
    """
    if not isinstance(store, S3Store):
        return
    for rule in _rules(store):
        _check_rule(store, rule)
    try:
        status = _ask(store, "get_bucket_versioning").get("Status")
    except InputError as err:
        _log.warning("%s: cannot read whether the bucket keeps versions (%s)", store.url, err)
        return
    if status != "Enabled":
        _log.warning(
            "%s keeps no old versions: its objects are pinned by ETag only, and an overwritten "
            "object is lost to older commits; turn versioning on, or use mode: copy",
            store.url,
        )


def _rules(store: S3Store) -> list[dict[str, Any]]:
    try:
        found = _ask(store, "get_bucket_lifecycle_configuration").get("Rules", [])
        return [rule for rule in found if rule.get("Status") == "Enabled"]
    except AccessDenied as err:
        why = str(err)
    except InputError as err:
        reply: dict[str, Any] = getattr(err.__cause__, "response", {})
        if reply.get("Error", {}).get("Code") == "NoSuchLifecycleConfiguration":
            return []
        why = str(err)
    _log.warning(
        "%s: the bucket's lifecycle rules cannot be read (%s); make sure that none of them removes "
        "objects or old versions, or commits lose their media",
        store.url,
        why,
    )
    return []


def _check_rule(store: S3Store, rule: dict[str, Any]) -> None:
    current, old = rule.get("Expiration", {}), rule.get("NoncurrentVersionExpiration")
    removes = [name for name in ("Days", "Date") if current.get(name)]  # else: stray hide markers
    if not removes and not old:
        return
    prefix = _prefix(rule)
    if not (store.root.startswith(prefix) or prefix.startswith(store.root)):
        return
    name = repr(rule["ID"]) if rule.get("ID") else "without a name"
    what = "objects" if removes else "old versions of objects"
    where = f"below {prefix!r}" if prefix else "in the whole bucket"
    raise InputError(
        f"{store.url}: the bucket's lifecycle rule {name} removes {what} {where}, so commits that "
        "pin them would lose their media; change the rule, or use mode: copy"
    )


def _prefix(rule: dict[str, Any]) -> str:
    scope = rule.get("Filter", {})
    return str(
        rule.get("Prefix") or scope.get("Prefix") or scope.get("And", {}).get("Prefix") or ""
    )


def _ask(store: S3Store, operation: str) -> Any:
    method = getattr(store.client, operation)
    return store.request(operation, "", lambda: method(Bucket=store.bucket))
