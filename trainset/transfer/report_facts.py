"""What a transfer report adds up to, and whether that is what the totals of the run say."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import Field

from trainset.errors import InputError
from trainset.model import Frozen, TransferTotals
from trainset.transfer.base import Outcome

SHOWN = 5  # slowest and largest files


class ReportDiffers(InputError):
    """The report of a transfer has other files than its totals; the run ends."""

    kind = "report-differs"

    def __init__(self, differences: dict[str, tuple[int, int]]) -> None:
        self.differences = differences
        said = ", ".join(
            f"{name}: the totals say {total}, the report has {found}"
            for name, (total, found) in differences.items()
        )
        super().__init__(
            f"the transfer report does not balance ({said}); "
            "run again, and report this as a fault of trainset"
        )


class KindFacts(Frozen):
    """Files that one kind of error kept back; ``key`` and ``reason`` are of the first."""

    kind: str
    status: str
    files: int
    key: str
    reason: str


class RouteFacts(Frozen):
    """Files that one rule of the spec took; ``bytes`` moved."""

    route: str
    files: int
    bytes: int


class SourceFacts(Frozen):
    """Files of one `media:` entry that the run looked at, by what became of them."""

    source: str
    sent: int = 0
    skipped: int = 0
    duplicate: int = 0
    deferred: int = 0
    failed: int = 0
    bytes: int = 0  # that moved


class FileFacts(Frozen):
    key: str
    size: int
    duration_ms: int


class TransferFacts(Frozen):
    """What a transfer report adds up to.

    Attributes:
        counts: files by status.
        bytes: that moved.
        verified: files that arrived in this run, by the level that was reached.
        retried: files that took more than one try in this run.
        seconds: from the start of the first file that moved to the end of the last; None: unknown.
        slowest, largest: of the files that moved.
    """

    counts: dict[str, int] = Field(default_factory=dict)
    bytes: int = 0
    kinds: tuple[KindFacts, ...] = ()
    routes: tuple[RouteFacts, ...] = ()
    sources: tuple[SourceFacts, ...] = ()
    verified: dict[str, int] = Field(default_factory=dict)
    retried: int = 0
    seconds: float | None = None
    slowest: tuple[FileFacts, ...] = ()
    largest: tuple[FileFacts, ...] = ()

    @property
    def turned_away(self) -> int:
        """Files that a rule passed over: skipped, though they are not there."""
        return sum(kind.files for kind in self.kinds if kind.status == "skipped")


def check_balance(totals: TransferTotals, facts: TransferFacts, *, unchanged: int = 0) -> None:
    """Whether the report has just the files that the totals count.

    Args:
        unchanged: files that the plan passed over: skipped, without a row in the report.
    Raises:
        ReportDiffers: names the statuses that differ.
    """
    names = ("sent", "skipped", "duplicate", "deferred", "failed")
    found = {name: facts.counts.get(name, 0) for name in names}
    found["skipped"] += unchanged
    found |= {"planned": sum(found.values()), "bytes": facts.bytes}
    said = {name: getattr(totals, name) for name in found}
    wrong = {name: (said[name], found[name]) for name in found if said[name] != found[name]}
    if wrong:
        raise ReportDiffers(wrong)


class FactsOf:
    """Adds up outcomes; holds counts and the few files that are shown."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._verified: dict[str, int] = {}
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._routes: dict[str, tuple[int, int]] = {}
        self._sources: dict[str, dict[str, int]] = {}
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._slowest: list[tuple[int, str, int]] = []
        self._largest: list[tuple[int, str, int]] = []
        self._bytes = self._retried = 0

    def add(self, o: Outcome) -> None:
        self._counts[o.status] = self._counts.get(o.status, 0) + 1
        self._bytes += o.moved_bytes
        self._retried += o.attempts > 1
        source = self._sources.setdefault(o.file.source, {})
        source[o.status] = source.get(o.status, 0) + 1
        source["bytes"] = source.get("bytes", 0) + o.moved_bytes
        if o.at is not None and o.moved_bytes:
            begun = o.at - timedelta(milliseconds=o.duration_ms)
            self._first = begun if self._first is None else min(self._first, begun)
            self._last = o.at if self._last is None else max(self._last, o.at)
        if o.route is not None:
            files, size = self._routes.get(o.route, (0, 0))
            self._routes[o.route] = (files + 1, size + o.moved_bytes)
        if o.status in ("sent", "duplicate"):
            level = o.verified or "L0"
            self._verified[level] = self._verified.get(level, 0) + 1
            _keep(self._slowest, (o.duration_ms, o.file.key, o.file.size))
            _keep(self._largest, (o.file.size, o.file.key, o.duration_ms))
        elif o.kind is not None:
            at = (o.kind, o.status)
            if (known := self._kinds.get(at)) is not None:
                known.files += 1
            else:
                self._kinds[at] = _Kind(1, o.file.key, o.reason or "")

    def facts(self) -> TransferFacts:
        kinds = [
            KindFacts(kind=kind, status=status, files=k.files, key=k.key, reason=k.reason)
            for (kind, status), k in self._kinds.items()
        ]
        routes = sorted(self._routes.items())
        return TransferFacts(
            counts=self._counts,
            bytes=self._bytes,
            kinds=tuple(sorted(kinds, key=lambda k: (-k.files, k.kind, k.status))),
            routes=tuple(RouteFacts(route=r, files=f, bytes=b) for r, (f, b) in routes),
            sources=tuple(SourceFacts(source=s, **n) for s, n in sorted(self._sources.items())),
            seconds=self._seconds(),
            verified=dict(sorted(self._verified.items())),
            retried=self._retried,
            slowest=tuple(
                FileFacts(key=key, size=size, duration_ms=took)
                for took, key, size in sorted(self._slowest, reverse=True)
            ),
            largest=tuple(
                FileFacts(key=key, size=size, duration_ms=took)
                for size, key, took in sorted(self._largest, reverse=True)
            ),
        )

    def _seconds(self) -> float | None:
        if self._first is None or self._last is None:
            return None
        return (self._last - self._first).total_seconds() or None


def _keep(heap: list[tuple[int, str, int]], item: tuple[int, str, int]) -> None:
    if len(heap) < SHOWN:
        heapq.heappush(heap, item)
    elif item > heap[0]:
        heapq.heapreplace(heap, item)


@dataclass
class _Kind:
    files: int
    key: str
    reason: str
