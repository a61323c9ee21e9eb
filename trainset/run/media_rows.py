"""The last transfer step of a run: what was found and sent becomes rows, events and totals."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from trainset import __version__
from trainset.model import LeftOut, TransferTotals
from trainset.run.context import Run, RunContext
from trainset.run.reports import BatchResult, StageReport, TransferWork
from trainset.run.transfer import MISSING, OUTCOMES, RETURNED, lines_path, open_sources
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
from trainset.transfer.provenance import (
    SUMS,
    EventFile,
    EventWriter,
    Origin,
    describe_routes,
    put_events,
)
from trainset.transfer.report import put_transfer_report, write_transfer_report
from trainset.transfer.verify import verify_outcomes
from trainset.transfer.verify_report import FileCheck, ObjectFault

ROWS = 20_000  # outcomes that are held at once


def write_rows(
    context: RunContext, work: TransferWork, results: Sequence[BatchResult]
) -> StageReport:
    """Bring the media table of the run branch to what was found and sent.

    Raises:
        TotalsDiffer: some planned file has no outcome.
    """
    run = Run(context)
    faults = _verify(run, results)
    totals, left_out = work.totals, (*_left_out_of_plan(run, work), *work.left_out)
    for result in results:
        totals, left_out = totals + result.totals, left_out + result.left_out
    if faults:
        sent = list(_sent(run, results, faults))
        totals, left_out = (
            work.totals + transfer_totals(sent),
            (*_left_out_of_plan(run, work), *work.left_out, *transfer_left_out(sent)),
        )
    _check(work, totals)
    if work.outcomes or results:  # one line a file, for whoever asks what became of it
        write_transfer_report(_all(run, work, results, faults), run.scratch)
        put_transfer_report(run.home.store, run.scratch, context.run_id)
    changed = 0
    for outcomes in _pieces(_sent(run, results, faults)):
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
    return StageReport(
        transfer=totals,
        media_changed=changed,
        left_out=left_out,
        ran=frozenset({"transfer"}),
        provenance=_write_provenance(run, _all(run, work, results, faults), committed=changed > 0),
    )


def _check(work: TransferWork, totals: TransferTotals) -> None:
    """Every planned file has just one outcome."""
    planned = work.totals.planned + sum(batch.files for batch in work.batches)
    if planned != totals.planned or not totals.balances:
        raise TotalsDiffer(planned, totals)


def _write_provenance(run: Run, outcomes: Iterator[Outcome], *, committed: bool) -> str | None:
    """Put the run's events into its commit; returns the head of their hash chain.

    A run that changes no row leaves no commit: its events go to ``runs/<run_id>/provenance``, if
    something was left out.
    """
    context, parts = run.context, list[Path]()

    def put(part: EventFile) -> None:
        parts.append(run.scratch / part.name)
        parts[-1].write_bytes(part.data)

    origin = Origin(host=socket.gethostname(), worker=str(os.getpid()), code_version=__version__)
    rules = describe_routes(run.spec.transfer.routes)
    writer = EventWriter(context.run_id, put, at=context.started_at, origin=origin, rules=rules)
    writer.add(outcomes if committed else (o for o in outcomes if not o.arrived))
    log = writer.close()
    if not parts:
        return None
    if not committed:
        put_events(run.home.store, f"runs/{context.run_id}/provenance", parts, log.sums)
        return None
    folder = f"provenance/{context.run_id}"
    for part in parts:
        run.workspace.put_file(f"{folder}/{part.name}", part)
    run.workspace.write(f"{folder}/{SUMS}", log.sums)
    return log.head


def _verify(run: Run, results: Sequence[BatchResult]) -> dict[str, ObjectFault]:
    """What the spec's verification finds wrong at the destinations, by key; L1 is done already."""
    level = run.spec.transfer.verify
    if level == "L1":
        return {}
    faults: dict[str, ObjectFault] = {}

    def note(check: FileCheck) -> None:
        if check.fault is not None:
            faults[check.key] = check.fault

    verify_outcomes(
        _sent(run, results, {}),
        home=run.home,
        sources=open_sources(run),
        level=level,
        sample=run.spec.transfer.sample,
        open_place=lambda url: run.open_place(url, None),
        on_file=note,
    )
    return faults


Faults = Mapping[str, ObjectFault]


def _all(
    run: Run, work: TransferWork, results: Sequence[BatchResult], faults: Faults
) -> Iterator[Outcome]:
    """Every outcome of the run: first what the plan decided, then the batches in their order."""
    if work.outcomes:
        yield from _read_outcomes(run.scratch / OUTCOMES)
    yield from _sent(run, results, faults)


def _sent(run: Run, results: Sequence[BatchResult], faults: Faults) -> Iterator[Outcome]:
    """What became of the files of all batches; where verification found a fault, failed."""
    level = run.spec.transfer.verify
    for result in results:
        for outcome in _read_outcomes(lines_path(run, "outcomes", result.number)):
            fault = faults.get(outcome.file.key)
            if fault is not None:
                yield failed(outcome.file, fault.kind, f"{fault.reason}; {fault.step}")
            elif outcome.arrived and level != "L1":
                yield outcome.model_copy(update={"verified": level})
            else:
                yield outcome


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
