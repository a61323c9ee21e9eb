"""Transfer steps of a run: plan, send a batch, write the rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from trainset.model import LeftOut, TransferTotals
from trainset.run.context import Run, RunContext
from trainset.run.reports import BatchResult, StageReport, TransferBatch, TransferWork
from trainset.stores import open_store
from trainset.stores.base import ObjectStore
from trainset.tables.base import Table
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.media import upsert_media
from trainset.tables.schema import MEDIA
from trainset.transfer.base import Outcome, SourceFile, transfer_left_out, transfer_totals
from trainset.transfer.base_index import BaseIndex
from trainset.transfer.listing import list_source
from trainset.transfer.plan import Planner
from trainset.transfer.provenance import SUMS, sha256_sums, write_events
from trainset.transfer.route import Router
from trainset.transfer.send import send_batch

UNLISTED = "unreadable-folder"

# What the plan leaves in the scratch folder beside its batches, as JSON lines.
OUTCOMES = "outcomes-plan.jsonl"  # of files that wait, or that a rule turned away
MISSING = "missing.jsonl"  # keys of rows whose file is gone from its source
RETURNED = "returned.jsonl"  # keys of rows that said missing, whose file is back


def plan_work(context: RunContext) -> TransferWork:
    """List the sources, subtract the media table, route, and write it all to the scratch folder."""
    run = Run(context)
    unlisted: dict[str, str] = {}
    returned = 0
    told: Counter[str] = Counter()
    batches = []
    with (
        _open_lines(run.scratch / OUTCOMES) as outcomes,
        _open_lines(run.scratch / RETURNED) as back,
        _open_lines(run.scratch / MISSING) as gone,
    ):

        def note(outcome: Outcome) -> None:
            told[outcome.status] += 1
            outcomes.write(f"{outcome.model_dump_json()}\n")

        def note_returned(key: str) -> None:
            nonlocal returned
            returned += 1
            back.write(f"{json.dumps(key)}\n")

        planner = Planner(
            _base(run.table("media")),
            context.spec.media,
            now=context.started_at,
            route=Router(context.spec.transfer).route,
            unlisted=unlisted.keys(),
            on_outcome=note,
            on_returned=note_returned,
        )
        for number, files in enumerate(planner.batches(_listing(run, unlisted))):
            with _open_lines(_lines(run, "batch", number)) as lines:
                lines.writelines(f"{file.model_dump_json()}\n" for file in files)
            batches.append((len(files), sum(file.size for file in files)))
        missing = 0
        for key, was_missing in planner.missing():
            if not was_missing:
                missing += 1
                gone.write(f"{json.dumps(key)}\n")
    return TransferWork(
        batches=tuple(
            TransferBatch(number=number, of=len(batches), files=files, bytes=size)
            for number, (files, size) in enumerate(batches)
        ),
        totals=TransferTotals(
            planned=planner.unchanged + sum(told.values()),
            skipped=planner.unchanged + told["skipped"],
            deferred=told["deferred"],
            failed=told["failed"],
        ),
        left_out=tuple(_not_listed(prefix, why) for prefix, why in unlisted.items()),
        outcomes=sum(told.values()),
        missing=missing,
        returned=returned,
    )


def send_work(
    context: RunContext, batch: TransferBatch, *, progress: Callable[[int], None] | None = None
) -> BatchResult:
    """Send one batch; its outcomes go to the scratch folder.

    Args:
        progress: gets the number of files done so far.
    """
    run = Run(context)
    done = 0

    def count(files: int, size: int) -> None:
        nonlocal done
        done += files
        if progress is not None:
            progress(done)

    with _lines(run, "batch", batch.number).open(encoding="utf-8", newline="\n") as lines:
        files = [SourceFile.model_validate_json(line) for line in lines]
    with run.ledger as ledger:
        outcomes = send_batch(
            files, sources=_sources(run), home=run.home, ledger=ledger, progress=count
        )
    _lines(run, "outcomes", batch.number).write_text(
        "".join(f"{outcome.model_dump_json()}\n" for outcome in outcomes), encoding="utf-8"
    )
    return BatchResult(
        number=batch.number,
        totals=transfer_totals(outcomes),
        left_out=tuple(transfer_left_out(outcomes)),
    )


def write_rows(
    context: RunContext, work: TransferWork, results: Sequence[BatchResult]
) -> StageReport:
    """Bring the media table of the run branch to what was found and sent."""
    run = Run(context)
    outcomes = [outcome for result in results for outcome in _outcomes(run, result.number)]
    planned = list(_read_outcomes(run.scratch / OUTCOMES)) if work.outcomes else []
    totals, left_out = work.totals, (*transfer_left_out(planned), *work.left_out)
    for result in results:
        totals, left_out = totals + result.totals, left_out + result.left_out
    changed = 0
    if outcomes or work.missing or work.returned:
        counts = upsert_media(
            _media(run),
            outcomes,
            now=context.started_at,
            missing_keys=_keys(run.scratch / MISSING) if work.missing else (),
            present_again=_keys(run.scratch / RETURNED) if work.returned else (),
        )
        changed = counts.inserted + counts.updated
    return StageReport(
        transfer=totals,
        media_changed=changed,
        left_out=left_out,
        ran=frozenset({"transfer"}),
        # A run that changes no row leaves no commit, hence no provenance either.
        provenance=_write_provenance(run, [*planned, *outcomes]) if changed and outcomes else None,
    )


def _write_provenance(run: Run, outcomes: Sequence[Outcome]) -> str:
    """Put the run's events into its commit; returns the head of their hash chain."""
    run_id = run.context.run_id
    events = write_events(outcomes, run_id=run_id, at=run.context.started_at)
    local = run.scratch / events.name
    local.write_bytes(events.data)
    folder = f"provenance/{run_id}"
    run.workspace.put_file(f"{folder}/{events.name}", local)
    run.workspace.write(f"{folder}/{SUMS}", sha256_sums([events]))
    return events.head


def _base(media: Table | None) -> BaseIndex:
    return BaseIndex.of({}) if media is None else BaseIndex(media.scan)


def _media(run: Run) -> Table:
    location = run.workspace.table("media")
    store = LanceTableStore()
    return store.open(location) if store.exists(location) else store.create(location, MEDIA)


def _listing(run: Run, unlisted: dict[str, str]) -> Iterator[SourceFile]:
    stores = _sources(run)
    for source in run.spec.media:
        yield from list_source(
            source,
            stores[source.name],
            home=run.home.url,
            on_unreadable=unlisted.__setitem__,
        )


def _sources(run: Run) -> dict[str, ObjectStore]:
    return {m.name: open_store(m.from_, run.context.credentials) for m in run.spec.media}


def _not_listed(prefix: str, why: str) -> LeftOut:
    return LeftOut(key=prefix, stage="transfer", kind=UNLISTED, reason=why)


def _lines(run: Run, what: str, number: int) -> Path:
    """JSON lines that one step leaves for the next."""
    return run.scratch / f"{what}-{number:06d}.jsonl"


def _outcomes(run: Run, number: int) -> Iterator[Outcome]:
    return _read_outcomes(_lines(run, "outcomes", number))


def _read_outcomes(path: Path) -> Iterator[Outcome]:
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield Outcome.model_validate_json(line)


def _keys(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield json.loads(line)


def _open_lines(path: Path) -> IO[str]:
    """A new file of JSON lines; what an earlier try left in it is gone."""
    return path.open("w", encoding="utf-8", newline="\n")
