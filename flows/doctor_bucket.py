"""The doctor's look at credentials, endpoint and bucket. Shows no secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from flows.doctor_check import Check, failed
from trainset.errors import InputError, TrainsetError

if TYPE_CHECKING:
    from trainset.stores.s3_probe import BucketFacts

VARIABLES = ("B2_KEY_ID", "B2_APPLICATION_KEY", "TRAINSET_S3_ENDPOINT")
SKEW_S = 300.0  # S3 servers refuse requests that are 15 minutes off


def bucket_checks(home: str | None, environment: Mapping[str, str], now: datetime) -> list[Check]:
    """Lines about the credentials and, when ``home`` is a bucket url, about the bucket itself."""
    missing = [name for name in VARIABLES if not environment.get(name)]
    if missing:
        if home is None and len(missing) == len(VARIABLES):
            return [Check("credentials", "ok", "none set; a bucket needs them, a folder does not")]
        fix = f"export {' '.join(f'{name}=…' for name in missing)} (the bucket's page shows them)"
        return [Check("credentials", "fail", f"{', '.join(missing)} not set", fix)]
    lines = [_key(environment["B2_KEY_ID"]), _endpoint(environment["TRAINSET_S3_ENDPOINT"])]
    if home is None or any(line.state == "fail" for line in lines):
        return lines
    return lines + _bucket(home, now)


def _key(key_id: str) -> Check:
    if re.fullmatch(r"[0-9a-f]{12}", key_id):  # an application key's id has 25 digits
        return Check(
            "credentials",
            "fail",
            "B2_KEY_ID looks like the account's master key, which the S3-compatible API refuses",
            "make an application key for the bucket and set B2_KEY_ID and B2_APPLICATION_KEY to it",
        )
    return Check("credentials", "ok", "key id and application key are set")


def _endpoint(endpoint: str) -> Check:
    from trainset.stores.s3_client import normal_endpoint, region_of

    try:
        normal = normal_endpoint(endpoint)
    except TrainsetError as err:
        return failed("endpoint", err, "mend TRAINSET_S3_ENDPOINT")
    if "backblazeb2.com" in normal and normal.startswith("http://"):
        fix = f"set TRAINSET_S3_ENDPOINT to {normal.replace('http://', 'https://')}"
        return Check("endpoint", "fail", f"{normal}: B2 takes https only", fix)
    if "backblazeb2.com" in normal and not re.search(r"//s3\.[a-z]+-[a-z]+-\d+\.", normal):
        fix = "copy it from the bucket's page: https://s3.<region>.backblazeb2.com"
        return Check("endpoint", "fail", f"{normal} names no B2 region", fix)
    return Check("endpoint", "ok", f"{normal}, region {region_of(normal)}")


def _bucket(home: str, now: datetime) -> list[Check]:
    from trainset.stores import credentials_from_environment
    from trainset.stores.s3_probe import probe_bucket

    bucket, _, prefix = home.split("://", 1)[1].partition("/")
    try:
        credentials = credentials_from_environment()
        facts = probe_bucket(bucket, prefix.strip("/"), credentials, now=now)
    except TrainsetError as err:
        return [failed("bucket", err, "mend what it names and run again")]
    return judge_bucket(bucket, prefix.strip("/"), facts)


def judge_bucket(bucket: str, prefix: str, facts: BucketFacts) -> list[Check]:
    """What the facts mean for a home below ``prefix``."""
    if facts.refused:
        return [failed("bucket", InputError(said), said) for said in facts.refused.values()]
    lines = [Check("bucket", "ok", f"{bucket}: list, put, get and delete work")]
    skew = facts.clock_skew_s
    if skew is not None:
        off = abs(skew) > SKEW_S
        fix = "set the clock, e.g.: sudo timedatectl set-ntp true" if off else ""
        said = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server's"
        lines.append(Check("clock", "fail" if off else "ok", said, fix))
    if facts.conditional_put == "ignored":
        fix = "use a store that refuses what it does not know; two runs at once could lose one"
        lines.append(Check("conditional PUT", "warn", "accepted and ignored", fix))
    else:
        lines.append(Check("conditional PUT", "ok", f"{facts.conditional_put}; not needed"))
    if facts.versioning == "off":
        fix = "switch versioning on (B2's 'keep all versions'), or run on one machine only"
        lines.append(Check("versions", "warn", "off: two machines could lose a commit", fix))
    elif facts.versioning == "unknown":
        fix = "look at the bucket's page that it keeps versions; a key with readBuckets can tell"
        lines.append(Check("versions", "warn", "this key may not read the setting", fix))
    else:
        lines.append(Check("versions", "ok", "on"))
    return lines + _lifecycle(prefix, facts)


def _lifecycle(prefix: str, facts: BucketFacts) -> list[Check]:
    if facts.expiring is None:
        return [Check("lifecycle", "ok", "not readable with this key: keep rules off the home")]
    root = f"{prefix}/" if prefix else ""
    hit = [p for p in facts.expiring if root.startswith(p) or p.startswith(root)]
    if hit:
        fix = "remove the rule, or keep the home outside its prefix: it deletes pinned media"
        return [Check("lifecycle", "fail", f"objects below {hit[0]!r} expire", fix)]
    if facts.keeps_old and facts.versioning == "on":
        return [Check("lifecycle", "ok", "old versions are kept for ever (and paid for)")]
    return [Check("lifecycle", "ok", "no rule removes current objects")]
