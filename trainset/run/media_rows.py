"""The last transfer step of a run: what was found and sent becomes rows, events and totals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from trainset.model import LeftOut, TransferTotals
from trainset.run.context import Run, RunContext
from trainset.run.reports import BatchResult, StageReport, TransferWork
from trainset.run.transfer import MISSING, OUTCOMES, RETURNED, lines_path
from trainset.tables.base import Table
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.media import upsert_media
from trainset.tables.schema import MEDIA
from trainset.transfer.base import (
    Outcome,
    TotalsDiffer,
    transfer_left_out,
)
from trainset.transfer.provenance import SUMS, EventFile, sha256_sums, write_events

ROWS = 20_000  # outcomes that are held at once


def write_rows(
    context: RunContext, work: TransferWork, results: Sequence[BatchResult]
) -> StageReport:
    """Bring the media table of the run branch to what was found and sent.

    Raises:
        TotalsDiffer: some planned file has no outcome.
    """
    run = Run(context)
    totals, left_out = work.totals, (*_left_out_of_plan(run, work), *work.left_out)
    for result in results:
        totals, left_out = totals + result.totals, left_out + result.left_out
    _check(work, totals)
    changed = 0
    for outcomes in _pieces(_sent(run, results)):
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
        # A run that changes no row leaves no commit, hence no provenance either.
        provenance=_write_provenance(run, work, results) if changed else None,
    )


def _check(work: TransferWork, totals: TransferTotals) -> None:
    """Every planned file has just one outcome."""
    planned = work.totals.planned + sum(batch.files for batch in work.batches)
    if planned != totals.planned or not totals.balances:
        raise TotalsDiffer(planned, totals)


def _write_provenance(run: Run, work: TransferWork, results: Sequence[BatchResult]) -> str | None:
    """Put the run's events into its commit; returns the head of their hash chain."""
    run_id, parts = run.context.run_id, list[EventFile]()
    folder = f"provenance/{run_id}"
    for outcomes in _pieces(_all(run, work, results)):
        after = parts[-1] if parts else None
        events = write_events(outcomes, run_id=run_id, at=run.context.started_at, after=after)
        local = run.scratch / events.name
        local.write_bytes(events.data)
        run.workspace.put_file(f"{folder}/{events.name}", local)
        parts.append(events)
    if not parts:
        return None
    run.workspace.write(f"{folder}/{SUMS}", sha256_sums(parts))
    return parts[-1].head


def _all(run: Run, work: TransferWork, results: Sequence[BatchResult]) -> Iterator[Outcome]:
    """Every outcome of the run: first what the plan decided, then the batches in their order."""
    if work.outcomes:
        yield from _read_outcomes(run.scratch / OUTCOMES)
    yield from _sent(run, results)


def _sent(run: Run, results: Sequence[BatchResult]) -> Iterator[Outcome]:
    for result in results:
        yield from _read_outcomes(lines_path(run, "outcomes", result.number))


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
