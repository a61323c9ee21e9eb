"""Sums over planned files: by source, by rule, and the work that they make."""

from __future__ import annotations

from trainset.model import Frozen
from trainset.report.wording import many, size
from trainset.run.destinations import Destinations, protection_of
from trainset.run.plan_inputs import is_bucket
from trainset.spec import DatasetSpec
from trainset.spec_media import BLOCK
from trainset.transfer.cost import Workload
from trainset.transfer.plan import Planned
from trainset.transfer.read import MEMORY_BYTES
from trainset.transfer.route import Action

UNMATCHED = "(no rule)"
_DOES = {
    "take": "takes",
    "skip": "skips",
    "fail": "refuses",
    "read": "asks for a look inside",
}


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
    action: Action
    to: str | None = None
    files: int
    bytes: int

    @property
    def does(self) -> str:
        return _DOES[self.action]

    @property
    def said(self) -> str:
        to = f", to {self.to}" if self.to else ""
        return f"{self.name}: {self.does} {many(self.files, 'file')} ({size(self.bytes)}){to}"


COLUMNS = ("there", "moving", "too_young", "skipped", "refused")
_COLUMN_OF = {
    "unchanged": "there",
    "move": "moving",
    "young": "too_young",
    "skip": "skipped",
    "fail": "refused",
}
_Pair = list[int]  # files, bytes


class Tally:
    """Sums over planned files."""

    def __init__(self, spec: DatasetSpec, destinations: Destinations | None = None) -> None:
        self._destinations = destinations or {}
        self.work = Workload()
        self.elsewhere: _Pair = [0, 0]  # to folders that rules name
        self.home_bytes = 0  # that come to the home, or may
        self.adopting: _Pair = [0, 0]  # of reference sources: they stay where they are
        self.read_in_place: _Pair = [0, 0]  # of these, what is read of them
        self.repinning = 0  # of these, files that a row pins in another version
        self.returned = 0
        self._lock_days = spec.protect.lock_days
        self._buckets = {m.name for m in spec.media if is_bucket(m.from_)}
        self._reference = {m.name: m.hash for m in spec.media if m.mode == "reference"}
        self._order = {route.name: at for at, route in enumerate(spec.transfer.routes)}
        self._sources = {m.name: {c: [0, 0] for c in COLUMNS} for m in spec.media}
        self._rules: dict[tuple[str, Action, str | None], _Pair] = {
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
        if planned.what != "move":
            return
        if file.source in self._reference:
            _count(self.adopting, file.size)
            self.repinning += planned.known
            if self._reference[file.source]:
                read = min(file.size, MEMORY_BYTES)
                _count(self.read_in_place, read)
                if file.source in self._buckets:
                    self.work.add_adopted(read)
            return
        if decision.to is None:
            self.home_bytes += file.size
        elif self._is_folder(decision.to):
            _count(self.elsewhere, file.size)
            return
        protection = decision.protection
        if protection is None and decision.to is not None:
            protection = protection_of(decision.to, self._destinations)
        self.work.add_moving(
            file.size,
            from_bucket=file.source in self._buckets,
            lock_days=protection.lock_days if protection is not None else self._lock_days,
        )

    def _is_folder(self, to: str) -> bool:
        found = self._destinations.get(to)
        if found is None and to.startswith(BLOCK):
            return False  # nobody asked a server what it is
        return not is_bucket(to if found is None else found.url)

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
        lines = [
            RuleLine(name=name, action=action, to=to, files=files, bytes=bytes_)
            for (name, action, to), (files, bytes_) in self._rules.items()
        ]
        return tuple(sorted(lines, key=lambda line: self._order.get(line.name, len(self._order))))

    def sum(self, column: str) -> Count:
        pairs = [found[column] for found in self._sources.values()]
        return Count(files=sum(p[0] for p in pairs), bytes=sum(p[1] for p in pairs))


def _count(pair: _Pair, bytes_: int) -> None:
    pair[0] += 1
    pair[1] += bytes_
