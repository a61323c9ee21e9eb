"""The transfer steps that move bytes: a batch, and at the end what the batches set aside."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from trainset.errors import TransientError
from trainset.identity import row_id
from trainset.run.context import Run, RunContext, now
from trainset.run.provenance import origin_of
from trainset.run.reports import BatchResult, TransferBatch
from trainset.run.scratch import lines_path, write_lines
from trainset.tables.base import Table
from trainset.transfer.adopt import adopt_batch
from trainset.transfer.base import (
    Origin,
    Outcome,
    SourceFile,
    transfer_left_out,
    transfer_totals,
)
from trainset.transfer.claims import shared_lanes
from trainset.transfer.ledger import copy_to_store
from trainset.transfer.pins import REPINNED, told_anew
from trainset.transfer.route import Router
from trainset.transfer.send import send_batch
from trainset.transfer.set_aside import MOST, Aside, OnWait, may_pass, set_aside, try_again

ASIDE = "aside"  # files that a batch could not bring for a passing reason


def send_work(
    context: RunContext,
    batch: TransferBatch,
    *,
    progress: Callable[[int], None] | None = None,
    task_run_id: str | None = None,
) -> BatchResult:
    """Send one batch; its outcomes go to the scratch folder.

    Args:
        progress: gets the number of files done so far.
        task_run_id: the orchestrator's, for the events.
    """
    run = Run(context)
    with lines_path(run, "batch", batch.number).open(encoding="utf-8", newline="\n") as lines:
        files = [SourceFile.model_validate_json(line) for line in lines]
    outcomes = _bring(run, files, progress)
    waiting = [o for o in outcomes if may_pass(o)] if run.spec.transfer.retry_for else []
    waiting = waiting[: MOST // batch.of or 1]
    at = now()
    aside = {o.file.key: set_aside(o, at=at, min_age=_min_age(run, o.file)) for o in waiting}
    write_lines(lines_path(run, ASIDE, batch.number), aside.values())
    outcomes = [o for o in outcomes if o.file.key not in aside]
    origin = origin_of(context.spec, context.flow_run_id, task_run_id, batch.label)
    return _result(run, batch.number, outcomes, origin, aside=len(aside))


def send_aside(
    context: RunContext,
    results: Sequence[BatchResult],
    *,
    progress: Callable[[int], None] | None = None,
    task_run_id: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
    on_wait: OnWait = lambda files, seconds: None,
) -> BatchResult:
    """Try again what the batches set aside, in passes, for as long as the spec says.

    Args:
        results: of all batches.
        progress: gets the number of files tried so far, in the pass under way.
        sleep: waits so many seconds.
        on_wait: told before each pause: files, seconds.
    """
    run = Run(context)
    waiting: list[Aside] = []
    for result in results:
        with lines_path(run, ASIDE, result.number).open(encoding="utf-8", newline="\n") as lines:
            waiting += [Aside.model_validate_json(line) for line in lines]
    stores = run.sources()

    def refresh(file: SourceFile) -> SourceFile | None:
        try:
            found = stores[file.source].head(file.path)
        except TransientError:
            return file  # sending it will say so
        if found is None or now() - found.modified < _min_age(run, file):
            return None
        shown = {"size": found.size, "version": found.version, "version_id": found.version_id}
        return file.model_copy(update={**shown, "modified": found.modified})

    outcomes = try_again(
        waiting,
        lambda files: _bring(run, files, progress),
        refresh=refresh,
        give_up_at=now() + run.spec.transfer.retry_for,
        min_age=lambda file: _min_age(run, file),
        clock=now,
        sleep=sleep,
        on_wait=on_wait,
    )
    origin = origin_of(context.spec, context.flow_run_id, task_run_id, "tried again")
    return _result(run, len(results), outcomes, origin, again=True)


def _bring(
    run: Run, files: Sequence[SourceFile], progress: Callable[[int], None] | None
) -> list[Outcome]:
    """Send or adopt some files."""
    context, done = run.context, 0

    def count(files: int, size: int) -> None:
        nonlocal done
        done += files
        if progress is not None:
            progress(done)

    shared_lanes().memory.allow(run.spec.transfer.in_flight)
    stay = {m.name: m.hash for m in run.spec.media if m.mode == "reference"}
    sources = run.sources()
    adopted = [file for file in files if file.source in stay]
    before = _pins(run.table("media"), adopted)
    with run.ledger as ledger:
        if context.replay is not None:
            ledger.revive([file.key for file in files])
        outcomes = send_batch(
            [file for file in files if file.source not in stay],
            sources=sources,
            home=run.home,
            ledger=ledger,
            run_id=context.run_id,
            route=Router(run.spec.transfer).route,
            open_place=run.open_place,
            progress=count,
            replay=context.replay if context.replay != "route" else None,
        )
        for outcome in adopt_batch(
            adopted,
            sources=sources,
            ledger=ledger,
            hashed=stay.__getitem__,
            anew=context.replay is not None,
            progress=count,
        ):
            outcomes.append(told_anew(outcome, before, sources[outcome.file.source]))
        copy_to_store(ledger, run.home.store, now=now())
    return outcomes


def _result(
    run: Run,
    number: int,
    outcomes: Sequence[Outcome],
    origin: Origin,
    *,
    aside: int = 0,
    again: bool = False,
) -> BatchResult:
    write_lines(lines_path(run, "outcomes", number), outcomes)
    return BatchResult(
        number=number,
        totals=transfer_totals(outcomes),
        left_out=tuple(transfer_left_out(outcomes)),
        repinned=sum(outcome.kind == REPINNED for outcome in outcomes),
        origin=origin,
        aside=aside,
        again=again,
    )


def _min_age(run: Run, file: SourceFile) -> timedelta:
    return next(m.min_age for m in run.spec.media if m.name == file.source)


def _pins(media: Table | None, files: Sequence[SourceFile]) -> dict[str, str]:
    """The pins that the rows of some files name, by key."""
    if media is None or not files:
        return {}
    asked = ", ".join(f"'{row_id(file.key)}'" for file in files)
    rows = media.scan(["key", "version_id"], where=f"row_id in ({asked})").read_all().to_pylist()
    return {row["key"]: row["version_id"] for row in rows if row["version_id"]}
