"""Looking at a destination before anything moves."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from trainset.model import Protection
from trainset.stores.base import ReadStore
from trainset.transfer.finding import Finding, Mode, require
from trainset.transfer.judge import judge

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

__all__ = ["Finding", "check_destination", "judge", "preflight", "require"]


def preflight(
    store: S3Store,
    *,
    protection: Protection,
    mode: Mode = "copy",
    now: datetime,
    probe_lock: bool = False,
) -> list[Finding]:
    """What the bucket lacks for what is asked of it; a handful of requests, no error for a lack.

    Args:
        mode: reference writes nothing.
        now: this machine's clock, timezone-aware.
        probe_lock: write one object that governance locks for a day, to see that the key may.
    """
    from trainset.stores.s3_probe import probe_store

    facts = probe_store(store, now=now, write=mode != "reference", probe_lock=probe_lock)
    return judge(facts, protection, mode)


def check_destination(
    store: ReadStore, protection: Protection, *, now: datetime, mode: Mode = "copy"
) -> list[Finding]:
    """Make sure that a place can keep what the spec asks for; what is only advised comes back.

    Raises:
        InputError: lists everything that must be mended first.
    """
    from trainset.stores.s3 import S3Store

    if isinstance(store, S3Store):
        findings = preflight(store, protection=protection, mode=mode, now=now)
    else:
        findings = [_folder(store.url, protection)]
    require(findings)
    return [finding for finding in findings if finding.state == "warn"]


def _folder(url: str, protection: Protection) -> Finding:
    if protection == Protection():
        return Finding(name="place", state="ok", found=f"{url}: nothing is asked of it")
    return Finding(
        name="place",
        state="fail",
        found=f"{url} is no bucket and can neither lock nor encrypt objects",
        mend="take `protect` out of the spec, or send to a bucket",
    )
