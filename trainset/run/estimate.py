"""What a run would do, before anything moves: files, bytes, matches, cells, minutes and disk."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from trainset.compute.context import processors
from trainset.compute.registry import load_class
from trainset.metadata.tables.open import OpenBlock
from trainset.model import Credentials
from trainset.report.wording import many, size, took
from trainset.run.estimate_labels import LABELLED_FILES, ListedNames, match_labels, modality_of
from trainset.run.estimate_tables import look_at_tables
from trainset.run.plan_inputs import gone_keys, list_all, open_base
from trainset.run.plan_tally import RuleLine, Tally
from trainset.run.replay import EVERY
from trainset.spec import DatasetSpec
from trainset.stores.atomic import can_clone
from trainset.transfer.plan import Planner
from trainset.transfer.route import Router
from trainset.transfer.selection import Only, Selection
from trainset.versions.lakefs.access import LakeFSAccess

SECONDS_PER_FILE = 0.01  # listing, hashing, looking into and writing a small file
BYTES_PER_S = 200e6  # one core hashing and writing
START_S = 30.0  # server, imports
UNSEEN_LINES = 20


@dataclass(frozen=True)
class Estimate:
    """Numbers of a dry run; ``seconds`` is rough, of this machine's cores."""

    files: int
    bytes: int
    unchanged: int
    waiting: int
    missing: int
    records: int
    matched: int
    cells: dict[str, int]
    seconds: float
    home_bytes: int  # of those that come to the home
    free_bytes: int | None  # on the home's disk; None for a bucket
    reflink: bool
    adopting: int = 0  # files of reference sources that are new or changed: they stay
    repinning: int = 0  # of these, files that a row pins in another version
    read_bytes: int = 0  # of these, to look into them
    rules: tuple[RuleLine, ...] = ()  # what each rule of the spec would take
    tables: tuple[str, ...] = ()  # of databases: what each is thought to hold
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For a person, a line a stage."""
        waiting = f", {self.waiting} too young" if self.waiting else ""
        missing = f", {self.missing} gone from their source" if self.missing else ""
        cells = ", ".join(f"{name} {count}" for name, count in self.cells.items() if count)
        lines = [
            f"Transfer: {many(self.files, 'file')} ({size(self.bytes)}) to bring in, "
            f"{self.unchanged} there already{waiting}{missing}.",
            f"Labels: {many(self.records, 'record')}, of which {self.matched} match by name.",
            *(f"  {table}." for table in self.tables),
            f"Compute: {sum(self.cells.values())} cells at most ({cells or 'nothing new'}).",
            f"Time: about {took(self.seconds)} on {many(processors(), 'core')}.",
        ]
        lines[1:1] = [f"  {rule.said}" for rule in self.rules]
        if self.adopting:
            anew = f", {self.repinning} of them pinned anew" if self.repinning else ""
            lines.insert(
                1,
                f"  {many(self.adopting, 'file')} to adopt in place{anew}: "
                f"{size(self.read_bytes)} are read, nothing is copied.",
            )
        if self.free_bytes is not None:
            how = "copied, large files by reflink" if self.reflink else "copied"
            lines.append(f"Disk: {size(self.home_bytes)} {how}; {size(self.free_bytes)} free.")
            if not self.reflink and self.home_bytes > self.free_bytes:
                lines.append("That does not fit: free some disk, or choose another OUT.")
        return lines + [f"Note: {fault}" for fault in self.faults]

    def text(self) -> str:
        return "\n".join(self.lines())


def estimate_run(
    spec: DatasetSpec,
    credentials: Credentials | None = None,
    *,
    lakefs: LakeFSAccess | None = None,
    open_block: OpenBlock | None = None,
    only: Only | None = None,
    replay: bool = False,
) -> Estimate:
    """Plan a run against the home's main, without a branch and without writing anything.

    Args:
        open_block: looks up the databases that the spec names as blocks.
        only: the files that the run is about; None: all.
        replay: those that are there already are looked at again.
    """
    base = open_base(spec, credentials, lakefs)
    unlisted: dict[str, str] = {}
    planner = Planner(
        base.to_index(),
        spec.media,
        now=datetime.now(UTC),
        route=Router(spec.transfer).route,
        unlisted=unlisted.keys(),
        gone=EVERY if replay else gone_keys(base.media, spec, credentials),
    )
    tally = Tally(spec)
    odd: Counter[str] = Counter()
    names = ListedNames(LABELLED_FILES if spec.metadata else 0)
    kinds: Counter[str] = Counter()
    listed = list_all(spec, credentials, unlisted, lambda key, kind, why: odd.update([kind]))
    chosen = None if only is None else Selection(only)
    for planned in planner.decide(listed if chosen is None else chosen.select(listed)):
        tally.add(planned)
        if planned.what == "move":
            kinds[modality_of(planned.file)] += 1
        if planned.what not in ("skip", "fail"):
            names.add(planned.file)
    missing = sum(not was for _, was in (planner.missing() if chosen is None else ()))
    moving = tally.sum("moving")
    cells = _cells(spec, kinds)
    records, matched, faults = match_labels(spec, names, credentials)
    tables = [look_at_tables(s, base.files, open_block) for s in spec.metadata if s.is_tables]
    work = sum(load_class(spec.columns[n].op).seconds_per_item * k for n, k in cells.items())
    read = moving.bytes - tally.adopting[1] + tally.read_in_place[1]
    seconds = START_S + moving.files * SECONDS_PER_FILE + read / BYTES_PER_S
    seconds += sum(look.seconds for look in tables)
    local = None if "://" in spec.home else _existing(Path(spec.home))
    return Estimate(
        files=moving.files - tally.adopting[0],
        bytes=moving.bytes - tally.adopting[1],
        adopting=tally.adopting[0],
        repinning=tally.repinning,
        read_bytes=tally.read_in_place[1],
        unchanged=planner.unchanged,
        waiting=tally.sum("too_young").files,
        missing=missing,
        rules=tally.rule_lines(),
        records=records,
        matched=matched,
        tables=tuple(line for look in tables for line in look.said),
        cells=cells,
        seconds=seconds + work / processors(),
        free_bytes=None if local is None else shutil.disk_usage(local).free,
        home_bytes=tally.home_bytes,
        reflink=local is not None and all(_shares(m.from_, local) for m in spec.media),
        faults=[
            *unlisted.values(),
            *(f"{many(n, 'entry', 'entries')} left out: {kind}" for kind, n in odd.items()),
            *(f"{name} ({at}) is in no source" for name, at in _unseen(chosen)),
            *faults,
            *(fault for look in tables for fault in look.faults),
        ],
    )


def _unseen(chosen: Selection | None) -> Iterator[tuple[str, str]]:
    return iter(()) if chosen is None else islice(chosen.unseen(), UNSEEN_LINES)


def _cells(spec: DatasetSpec, kinds: Counter[str]) -> dict[str, int]:
    """Cells by column if every file is what its name says; ``where`` is not looked at."""
    return {
        name: sum(kinds[m] for m in load_class(column.op).modalities)
        for name, column in spec.columns.items()
    }


def _existing(path: Path) -> Path:
    """The nearest folder above that exists: its disk is the home's disk."""
    while not path.exists():
        path = path.parent
    return path


def _shares(source: str, home: Path) -> bool:
    """Whether files of a source can share disk blocks with the home."""
    if "://" in source or os.stat(source).st_dev != os.stat(home).st_dev:
        return False
    return can_clone(home)
