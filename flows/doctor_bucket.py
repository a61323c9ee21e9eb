"""The doctor's look at credentials, endpoint and bucket. Shows no secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from flows.doctor_check import Check, failed
from trainset.errors import TrainsetError
from trainset.model import Protection, StoreOptions

if TYPE_CHECKING:
    from trainset.spec import DatasetSpec
    from trainset.stores.s3_probe import BucketFacts
    from trainset.transfer.finding import Finding, Mode

VARIABLES = ("B2_KEY_ID", "B2_APPLICATION_KEY", "TRAINSET_S3_ENDPOINT")


class Place(NamedTuple):
    """A bucket to look at, and what is asked of it."""

    url: str
    protection: Protection = Protection()
    mode: Mode = "copy"


def places_of(spec: DatasetSpec) -> Iterator[Place]:
    """The buckets that a spec writes to, or pins media in; those behind blocks are the run's."""
    places = [Place(spec.home, spec.protect)]
    places += [
        Place(route.to, route.protect or spec.protect, "destination")
        for route in spec.transfer.routes
        if route.to
    ]
    places += [Place(m.from_, mode="reference") for m in spec.media if m.mode == "reference"]
    yield from dict.fromkeys(p for p in places if re.match("(s3|b2)://", p.url))


def bucket_checks(
    home: str | Place | None,
    environment: Mapping[str, str],
    now: datetime,
    *,
    probe_lock: bool = False,
) -> list[Check]:
    """Lines about the credentials and, when ``home`` is a bucket url, about the bucket itself.

    Args:
        probe_lock: leave one object there that governance locks for a day, where the spec locks.
    """
    missing = [name for name in VARIABLES if not environment.get(name)]
    if missing:
        if home is None and len(missing) == len(VARIABLES):
            return [Check("credentials", "ok", "none set; a bucket needs them, a folder does not")]
        fix = f"export {' '.join(f'{name}=…' for name in missing)} (the bucket's page shows them)"
        return [Check("credentials", "fail", f"{', '.join(missing)} not set", fix)]
    lines = [_key(environment["B2_KEY_ID"]), _endpoint(environment["TRAINSET_S3_ENDPOINT"])]
    if home is None or any(line.state == "fail" for line in lines):
        return lines
    place = home if isinstance(home, Place) else Place(home)
    return lines + place_checks(place, now, probe_lock=probe_lock)


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
    from trainset.stores.endpoint import normal_endpoint, region_of

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


def place_checks(place: Place, now: datetime, *, probe_lock: bool = False) -> list[Check]:
    """Lines about one bucket, with the credentials of the environment."""
    from trainset.stores import open_store
    from trainset.stores.s3 import S3Store
    from trainset.transfer.preflight import preflight

    try:
        store = open_store(place.url, options=StoreOptions(protection=place.protection))
        assert isinstance(store, S3Store)
        return _lines(
            preflight(
                store,
                protection=place.protection,
                mode=place.mode,
                now=now,
                probe_lock=probe_lock and place.protection.locks,
            )
        )
    except TrainsetError as err:
        return [failed("bucket", err, "mend what it names and run again")]


def judge_bucket(bucket: str, prefix: str, facts: BucketFacts) -> list[Check]:
    """What the facts mean for a home below ``prefix``."""
    from trainset.transfer.judge import judge

    place = facts.model_copy(update={"bucket": bucket, "prefix": prefix})
    return _lines(judge(place, Protection()))


def _lines(findings: Sequence[Finding]) -> list[Check]:
    return [Check(f.name, f.state, f.found, f.mend) for f in findings]
