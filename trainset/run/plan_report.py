"""``plan_report``: what a transfer would do and cost, from listings alone; no file is read.

Counts only, whatever the size of the dataset: no file is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from pydantic import Field

from trainset.errors import NotFound
from trainset.home import open_home
from trainset.model import Credentials, Frozen
from trainset.spec import DatasetSpec
from trainset.stores import open_source
from trainset.tables.lance_store import LanceTableStore
from trainset.transfer.base import SourceFile
from trainset.transfer.base_index import BaseIndex
from trainset.transfer.cost import Cost, Workload, parse_rate, price
from trainset.transfer.listing import list_source
from trainset.transfer.plan import Planned, Planner
from trainset.transfer.rates import RateCard, load_rates
from trainset.transfer.route import Router

UNMATCHED = "(no rule)"
Progress = Callable[[int], None]  # gets the number of files listed so far


class Count(Frozen):
    """Files and their bytes."""

    files: int = 0
    bytes: int = 0


class SourceLine(Frozen):
    """What the listing of one source says: listed is the sum of the other five."""

    name: str
    listed: Count
    there: Count
    moving: Count
    too_young: Count
    skipped: Count
    refused: Count


class RuleLine(Frozen):
    """What one rule would do with the files that the home does not hold yet.

    ``action``: take, skip, fail, or read: these files must be read before this rule can be asked.
    """

    name: str
    action: str
    to: str | None = None
    files: int
    bytes: int


class Unlisted(Frozen):
    """A folder that could not be listed: its files are neither planned nor taken for missing."""

    prefix: str
    reason: str


class PlanReport(Frozen):
    """A transfer plan in numbers.

    Attributes:
        commit: the plan is against it; None: the home has none yet.
        moving: files that a run would read, the undecided too.
        missing, still_missing: rows whose file is gone since, and was gone before.
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
    missing: int
    still_missing: int
    returned: int
    unlisted: tuple[Unlisted, ...]
    parts: int = Field(description="pieces of the files that go in parts")
    verify: str
    home_is_folder: bool
    cost: Cost


def plan_report(
    spec: DatasetSpec,
    credentials: Credentials | None = None,
    *,
    now: datetime,
    bandwidth: str | None = None,
    rates: RateCard | None = None,
    progress: Progress | None = None,
) -> PlanReport:
    """List the sources, and plan against the home's newest commit.

    Args:
        now: aware; ages of files are counted from it.
        bandwidth: of the line, as ``500Mbit/s``; None: the spec's, where it is one number.
        rates: None: the newest card that trainset ships.
        progress: told now and then how many files were listed.
    Raises:
        NotFound, AccessDenied, InputError: of a source, of the home, or the bandwidth.
    """
    bytes_per_s = parse_rate(bandwidth) if bandwidth else _spec_rate(spec)
    commit, base = open_base(spec, credentials)
    unlisted: dict[str, str] = {}
    planner = Planner(
        base, spec.media, now=now, route=Router(spec.transfer).route, unlisted=unlisted.keys()
    )
    tally = _Tally(spec)
    for planned in planner.decide(list_all(spec, credentials, unlisted, progress)):
        tally.add(planned)
    absent = {True: 0, False: 0}
    for _, was_missing in planner.missing():
        absent[was_missing] += 1
    transfer = spec.transfer
    sums = {what: tally.sum(what) for what in _COLUMNS}
    return PlanReport(
        dataset=spec.name,
        home=spec.home,
        commit=commit,
        at=now,
        sources=tuple(tally.source_line(m.name) for m in spec.media),
        rules=tally.rule_lines(),
        listed=Count(
            files=sum(c.files for c in sums.values()), bytes=sum(c.bytes for c in sums.values())
        ),
        **sums,
        elsewhere=Count(files=tally.elsewhere[0], bytes=tally.elsewhere[1]),
        missing=absent[False],
        still_missing=absent[True],
        returned=tally.returned,
        unlisted=tuple(Unlisted(prefix=p, reason=why) for p, why in unlisted.items()),
        parts=tally.work.parts,
        verify=transfer.verify,
        home_is_folder=not is_bucket(spec.home),
        cost=price(
            tally.work,
            rates or load_rates(),
            verify=transfer.verify,
            sample=transfer.sample,
            requests_per_s=transfer.requests_per_second,
            bytes_per_s=bytes_per_s,
        ),
    )


def open_base(spec: DatasetSpec, credentials: Credentials | None) -> tuple[str | None, BaseIndex]:
    """The home's newest commit and what it holds; a home that is not there yet holds nothing."""
    try:
        home = open_home(spec.home, credentials=credentials)
    except NotFound:
        return None, BaseIndex.of({})
    head = home.versions.head()
    if head is None:
        return None, BaseIndex.of({})
    location, store = home.versions.snapshot(head.id).table("media"), LanceTableStore()
    if not store.exists(location):
        return head.id, BaseIndex.of({})
    return head.id, BaseIndex(store.open(location).scan)


def list_all(
    spec: DatasetSpec,
    credentials: Credentials | None,
    unlisted: dict[str, str],
    progress: Progress | None = None,
) -> Iterator[SourceFile]:
    """The files of all sources; folders that may not be read go to ``unlisted``."""
    count = 0
    for source in spec.media:
        store = open_source(source.from_, credentials)
        for file in list_source(source, store, home=spec.home, on_unreadable=unlisted.__setitem__):
            yield file
            count += 1
            if progress is not None and count % 1_000 == 0:
                progress(count)
    if progress is not None:
        progress(count)


def is_bucket(place: str) -> bool:
    return "://" in place and not place.startswith("file://")


_COLUMNS = ("there", "moving", "too_young", "skipped", "refused")
_COLUMN_OF = {
    "unchanged": "there",
    "move": "moving",
    "young": "too_young",
    "skip": "skipped",
    "fail": "refused",
}
_Pair = list[int]  # files, bytes


class _Tally:
    """Sums over planned files."""

    def __init__(self, spec: DatasetSpec) -> None:
        self.work = Workload()
        self.elsewhere: _Pair = [0, 0]
        self.returned = 0
        self._lock_days = spec.protect.lock_days
        self._buckets = {m.name for m in spec.media if is_bucket(m.from_)}
        self._reference = {m.name for m in spec.media if m.mode == "reference"}
        self._sources = {m.name: {c: [0, 0] for c in _COLUMNS} for m in spec.media}
        self._rules: dict[tuple[str, str, str | None], _Pair] = {
            (r.name, "take" if r.skip is None else "skip", r.to): [0, 0]
            for r in spec.transfer.routes
        }

    def add(self, planned: Planned) -> None:
        file = planned.file
        _count(self._sources[file.source][_COLUMN_OF[planned.what]], file.size)
        if file.source in self._buckets:
            self.work.add_listed(file.source)
        self.returned += planned.returned
        if planned.what == "unchanged":
            self.work.add_there(file.size)
        if (decision := planned.decision) is None:
            return
        rule = (decision.rule or UNMATCHED, decision.action, decision.to)
        _count(self._rules.setdefault(rule, [0, 0]), file.size)
        if planned.what != "move" or file.source in self._reference:
            return
        if decision.to is not None and not is_bucket(decision.to):
            _count(self.elsewhere, file.size)
            return
        protection = decision.protection
        self.work.add_moving(
            file.size,
            from_bucket=file.source in self._buckets,
            lock_days=protection.lock_days if protection is not None else self._lock_days,
        )

    def source_line(self, name: str) -> SourceLine:
        found = self._sources[name]
        listed = [sum(pair[at] for pair in found.values()) for at in (0, 1)]
        return SourceLine(
            name=name,
            listed=Count(files=listed[0], bytes=listed[1]),
            **{c: Count(files=pair[0], bytes=pair[1]) for c, pair in found.items()},
        )

    def rule_lines(self) -> tuple[RuleLine, ...]:
        """In the spec's order; nothing where the spec has no rules."""
        if not any(name != UNMATCHED for name, _, _ in self._rules):
            return ()
        return tuple(
            RuleLine(name=name, action=action, to=to, files=files, bytes=size)
            for (name, action, to), (files, size) in self._rules.items()
        )

    def sum(self, column: str) -> Count:
        pairs = [found[column] for found in self._sources.values()]
        return Count(files=sum(p[0] for p in pairs), bytes=sum(p[1] for p in pairs))


def _count(pair: _Pair, size: int) -> None:
    pair[0] += 1
    pair[1] += size


def _spec_rate(spec: DatasetSpec) -> float | None:
    """The spec's bandwidth, unless it is a timetable."""
    text = spec.transfer.bandwidth
    return None if text is None or ":" in text else parse_rate(text)
