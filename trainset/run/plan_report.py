"""``plan_report``: what a transfer would do and cost, from listings alone; no file is read.

Counts only, whatever the size of the dataset: no file is held.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Literal

from trainset.model import Credentials, Frozen
from trainset.report.wording import many, size
from trainset.run.destinations import Destinations
from trainset.run.plan_inputs import Progress, gone_keys, is_bucket, list_all, open_base
from trainset.run.plan_tally import COLUMNS, Count, RuleLine, SourceLine, Tally
from trainset.spec import DatasetSpec
from trainset.stores.bandwidth import parse_bandwidth
from trainset.transfer.cost import Cost, price
from trainset.transfer.plan import Planner
from trainset.transfer.rates import RateCard, load_rates
from trainset.transfer.route import Router
from trainset.versions.lakefs.access import LakeFSAccess

SHOWN = 100
Level = Literal["L0", "L1", "L2", "L3", "L4"]


class Unlisted(Frozen):
    """A folder that could not be listed: its files are neither planned nor taken for missing."""

    prefix: str
    reason: str


class Unusable(Frozen):
    """Something in a source that can be no file of the dataset: a FIFO, a name that is no key."""

    key: str
    kind: str
    reason: str


class PlanReport(Frozen):
    """A transfer plan in numbers.

    Attributes:
        commit: the plan is against it; None: the home has none yet.
        moving: files that a run would read, the undecided too, and those that are adopted.
        adopting: of these, files of reference sources: they stay where they are, and
            ``read_in_place`` is read of them at most; ``repinning`` of them have a row already,
            that pins another version.
        missing, still_missing: rows whose file is gone since, and was gone before.
        unusable_shown: the first 100 of ``unusable``; a run leaves them out, each with its reason.
        elsewhere: of those that move, files that a rule sends to a folder: they cost nothing.
        home_is_folder: then the costs are those of the same plan with its home on B2.
    """

    dataset: str
    home: str
    commit: str | None
    at: datetime
    sources: tuple[SourceLine, ...]
    rules: tuple[RuleLine, ...]
    listed: Count
    there: Count
    moving: Count
    too_young: Count
    skipped: Count
    refused: Count
    elsewhere: Count
    adopting: Count = Count()
    read_in_place: Count = Count()
    repinning: int = 0
    missing: int
    still_missing: int
    returned: int
    unlisted: tuple[Unlisted, ...]
    unusable: int
    unusable_shown: tuple[Unusable, ...]
    verify: Level
    sample: float
    home_is_folder: bool
    cost: Cost

    @property
    def said(self) -> str:
        files = self.moving.files - self.adopting.files
        size_ = size(self.moving.bytes - self.adopting.bytes)
        stay = f"{self.adopting.files:,} to adopt in place, " if self.adopting.files else ""
        return (
            f"plan: {many(files, 'file')} ({size_}) to move, {stay}"
            f"{self.there.files:,} there already, {self.missing:,} gone from their source"
        )


def plan_report(
    spec: DatasetSpec,
    credentials: Credentials | None = None,
    *,
    lakefs: LakeFSAccess | None = None,
    destinations: Destinations | None = None,
    now: datetime,
    bandwidth: str | None = None,
    rates: RateCard | None = None,
    verify: Level | None = None,
    sample: float | None = None,
    progress: Progress | None = None,
) -> PlanReport:
    """List the sources, and plan against the home's newest commit.

    Args:
        destinations: the places of rules that say ``to: block:<name>``, by that word; one that
            is not there is taken for a bucket.
        now: aware; ages of files are counted from it.
        bandwidth: of the line, as ``500Mbit/s``; None: the spec's limit. Of a timetable the
            slowest rate counts.
        rates: None: the newest card that trainset ships.
        verify, sample: level and share of a verification whose calls are counted too; None: the
            spec's.
        progress: told now and then how many files were listed.
    Raises:
        NotFound, AccessDenied, InputError: of a source, of the home, or the bandwidth.
    """
    bytes_per_s = slowest_rate(bandwidth or spec.transfer.bandwidth)
    base = open_base(spec, credentials, lakefs)
    unlisted: dict[str, str] = {}
    unusable = 0
    shown: list[Unusable] = []

    def refuse(key: str, kind: str, reason: str) -> None:
        nonlocal unusable
        unusable += 1
        if unusable <= SHOWN:
            shown.append(Unusable(key=key, kind=kind, reason=reason))

    planner = Planner(
        base.to_index(),
        spec.media,
        now=now,
        route=Router(spec.transfer).route,
        unlisted=unlisted.keys(),
        gone=gone_keys(base.media, spec, credentials),
    )
    tally = Tally(spec, destinations or {})
    for planned in planner.decide(list_all(spec, credentials, unlisted, refuse, progress)):
        tally.add(planned)
    absent = {True: 0, False: 0}
    for _, was_missing in planner.missing():
        absent[was_missing] += 1
    level = verify or spec.transfer.verify
    share = spec.transfer.sample if sample is None else sample
    sums = {what: tally.sum(what) for what in COLUMNS}
    return PlanReport(
        dataset=spec.name,
        home=spec.home,
        commit=base.commit,
        at=now,
        sources=tuple(tally.source_line(m.name) for m in spec.media),
        rules=tally.rule_lines(),
        listed=Count(
            files=sum(c.files for c in sums.values()), bytes=sum(c.bytes for c in sums.values())
        ),
        **sums,
        elsewhere=Count(files=tally.elsewhere[0], bytes=tally.elsewhere[1]),
        adopting=Count(files=tally.adopting[0], bytes=tally.adopting[1]),
        read_in_place=Count(files=tally.read_in_place[0], bytes=tally.read_in_place[1]),
        repinning=tally.repinning,
        missing=absent[False],
        still_missing=absent[True],
        returned=tally.returned,
        unlisted=tuple(Unlisted(prefix=p, reason=why) for p, why in unlisted.items()),
        unusable=unusable,
        unusable_shown=tuple(shown),
        verify=level,
        sample=share,
        home_is_folder=not is_bucket(spec.home),
        cost=price(
            tally.work,
            rates or load_rates(),
            verify=level,
            sample=share,
            requests_per_s=spec.transfer.requests_per_second,
            bytes_per_s=bytes_per_s,
        ),
    )


def slowest_rate(bandwidth: str | None) -> float | None:
    """The slowest of a timetable's rates, or None where there is no limit."""
    if bandwidth is None:
        return None
    slowest = min(rate for _, rate in parse_bandwidth(bandwidth).changes)
    return None if math.isinf(slowest) else slowest
