"""The last transfer step of a run: what was found and sent becomes rows, events and totals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from trainset.model import LeftOut, TransferTotals
from trainset.run.context import Run, RunContext
from trainset.run.parents import first_files
from trainset.run.provenance import Told, write_events
from trainset.run.reports import BatchResult, StageReport, TransferWork
from trainset.run.scratch import lines_path
from trainset.run.transfer import MISSING, OUTCOMES, RETURNED
from trainset.tables.base import Table
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.media import upsert_media
from trainset.tables.schema import MEDIA
from trainset.transfer.base import (
    Outcome,
    TotalsDiffer,
    failed,
    transfer_left_out,
    transfer_totals,
)
from trainset.transfer.report import put_transfer_report, write_transfer_report
from trainset.transfer.report_facts import TransferFacts, check_balance
from trainset.transfer.verify import verify_outcomes
from trainset.transfer.verify_report import FileCheck, ObjectFault

ROWS = 20_000  # outcomes that are held at once


def write_rows(
    context: RunContext, work: TransferWork, results: Sequence[BatchResult]
) -> StageReport:
    """Bring the media table of the run branch to what was found and sent.

    Raises:
        TotalsDiffer: some planned file has no outcome.
        ReportDiffers: the per-file report has other files than the totals count.
    """
    run = Run(context)
    verified = _verify(run, results)
    totals, left_out = work.totals, (*_left_out_of_plan(run, work), *work.left_out)
    for result in results:
        totals, left_out = totals + result.totals, left_out + result.left_out
    if verified.faults:
        totals = work.totals + transfer_totals(_sent(run, results, verified))
        left_out = (
            *_left_out_of_plan(run, work),
            *work.left_out,
            *transfer_left_out(_sent(run, results, verified)),
        )
    _check(work, totals)
    facts = None
    if work.outcomes or results:  # one line a file, for whoever asks what became of it
        facts = write_transfer_report(_all(run, work, _sent(run, results, verified)), run.scratch)
        _check_report(work, totals, facts)
        put_transfer_report(run.home.store, run.scratch, context.run_id)
    changed = 0
    for outcomes in _pieces(_sent(run, results, verified)):
        counts = upsert_media(_media(run), outcomes, now=context.started_at)
        changed += counts.inserted + counts.updated
    if work.missing or work.returned:
        counts = upsert_media(
            _media(run),
            (),
            now=context.started_at,
            missing_keys=_keys(run.scratch / MISSING) if work.missing else (),
            present_again=_keys(run.scratch / RETURNED) if work.returned else (),
        )
        changed += counts.inserted + counts.updated
    parents: dict[str, str] = {}
    if totals.duplicate and changed:
        parents = first_files(run.table("media"), _sent(run, results, verified))
    return StageReport(
        transfer=totals,
        media_changed=changed,
        left_out=left_out,
        ran=frozenset({"transfer"}),
        transfer_facts=facts,
        provenance=write_events(
            run,
            _told(run, work, results, verified.levels),
            verified.faults,
            parents=parents,
            committed=changed > 0,
        ),
    )


def _check(work: TransferWork, totals: TransferTotals) -> None:
    """Every planned file has just one outcome."""
    planned = work.totals.planned + sum(batch.files for batch in work.batches)
    if planned != totals.planned or not totals.balances:
        raise TotalsDiffer(planned, totals)


def _check_report(work: TransferWork, totals: TransferTotals, facts: TransferFacts) -> None:
    """The report has a line for each file that was not passed over or refused."""
    refused = {"planned": totals.planned - work.refused, "failed": totals.failed - work.refused}
    unchanged = work.totals.planned - work.outcomes - work.refused
    check_balance(totals.model_copy(update=refused), facts, unchanged=unchanged)


class Verified(NamedTuple):
    """What the spec's verification found.

    faults: by key of the file. levels: of the outcomes that arrived, in their order; 0: this one
    was not looked at, or is at fault. Empty at L1, which the store has done at each upload.
    """

    faults: dict[str, ObjectFault]
    levels: bytes


def _verify(run: Run, results: Sequence[BatchResult]) -> Verified:
    level = run.spec.transfer.verify
    if level == "L1":
        return Verified({}, b"")
    faults: dict[str, ObjectFault] = {}
    levels = bytearray()

    def note(check: FileCheck) -> None:
        levels.append(int(check.level[1]) if check.level is not None else 0)
        if check.fault is not None:
            faults[check.key] = check.fault

    verify_outcomes(
        _arriving(run, results, b""),
        home=run.home,
        sources=run.sources(),
        level=level,
        sample=run.spec.transfer.sample,
        open_place=lambda url: run.open_place(url, None),
        on_file=note,
    )
    return Verified(faults, bytes(levels))


def _all(run: Run, work: TransferWork, sent: Iterator[Outcome]) -> Iterator[Outcome]:
    """Every outcome of the run: first what the plan decided, then the batches in their order."""
    if work.outcomes:
        yield from _read_outcomes(run.scratch / OUTCOMES)
    yield from sent


def _sent(run: Run, results: Sequence[BatchResult], verified: Verified) -> Iterator[Outcome]:
    """What became of the files of all batches; where verification found a fault, failed."""
    for outcome in _arriving(run, results, verified.levels):
        fault = verified.faults.get(outcome.file.key) if outcome.arrived else None
        if fault is None:
            yield outcome
            continue
        why = f"{fault.reason}; {fault.step}"
        seen = {"sha256": outcome.sha256, "moved_bytes": outcome.moved_bytes}
        yield failed(outcome.file, fault.kind, why).model_copy(update=seen)


def _arriving(run: Run, results: Sequence[BatchResult], levels: bytes) -> Iterator[Outcome]:
    """The outcomes of all batches, each with the level that its verification reached."""
    number = 0
    for result in results:
        for outcome in _read_outcomes(lines_path(run, "outcomes", result.number)):
            if outcome.arrived and levels:
                level, number = levels[number], number + 1
                if level:
                    outcome = outcome.model_copy(update={"verified": f"L{level}"})
            yield outcome


def _told(
    run: Run, work: TransferWork, results: Sequence[BatchResult], levels: bytes
) -> Iterator[Told]:
    """Outcomes by who brought them about, the plan first; each group is read before the next."""
    if work.outcomes:
        yield work.origin, _read_outcomes(run.scratch / OUTCOMES)
    arriving = _arriving(run, results, levels)
    for result in results:
        yield result.origin, islice(arriving, result.totals.planned)


def _left_out_of_plan(run: Run, work: TransferWork) -> tuple[LeftOut, ...]:
    if not work.outcomes:
        return ()
    return tuple(transfer_left_out(_read_outcomes(run.scratch / OUTCOMES)))


def _pieces(outcomes: Iterator[Outcome]) -> Iterator[list[Outcome]]:
    while piece := list(islice(outcomes, ROWS)):
        yield piece


def _media(run: Run) -> Table:
    location = run.workspace.table("media")
    store = LanceTableStore()
    return store.open(location) if store.exists(location) else store.create(location, MEDIA)


def _read_outcomes(path: Path) -> Iterator[Outcome]:
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield Outcome.model_validate_json(line)


def _keys(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield json.loads(line)
