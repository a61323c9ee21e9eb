"""Transfer steps of a run: plan, send a batch, write the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from trainset.model import LeftOut, TransferTotals
from trainset.run.context import Run, RunContext
from trainset.run.reports import BatchResult, StageReport, TransferBatch, TransferWork
from trainset.stores import check_adoptable, open_store
from trainset.stores.base import ObjectStore
from trainset.tables.base import Table
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.media import iter_base_rows, upsert_media
from trainset.tables.schema import MEDIA
from trainset.transfer.adopt import adopt_batch
from trainset.transfer.base import Outcome, SourceFile, transfer_left_out, transfer_totals
from trainset.transfer.listing import list_source
from trainset.transfer.plan import BaseRow, Planner
from trainset.transfer.provenance import SUMS, sha256_sums, write_events
from trainset.transfer.send import send_batch

UNLISTED = "unreadable-folder"


def plan_work(context: RunContext) -> TransferWork:
    """List the sources, subtract the media table, and write the batches to the scratch folder."""
    run = Run(context)
    for source in context.spec.media:
        if source.mode == "reference":
            check_adoptable(open_store(source.from_, context.credentials))
    base = _base(run.table("media"))
    unlisted: dict[str, str] = {}
    planner = Planner(base, context.spec.media, now=context.started_at, unlisted=unlisted.keys())
    batches = []
    listing = _listing(run, unlisted)
    for number, files in enumerate(planner.batches(listing)):
        _lines(run, "batch", number).write_text(
            "".join(f"{file.model_dump_json()}\n" for file in files), encoding="utf-8"
        )
        batches.append((len(files), sum(file.size for file in files)))
    waiting = transfer_left_out(planner.deferred)
    return TransferWork(
        batches=tuple(
            TransferBatch(number=number, of=len(batches), files=files, bytes=size)
            for number, (files, size) in enumerate(batches)
        ),
        totals=TransferTotals(
            planned=planner.unchanged + len(waiting),
            skipped=planner.unchanged,
            deferred=len(waiting),
        ),
        left_out=(*waiting, *(_not_listed(prefix, why) for prefix, why in unlisted.items())),
        missing=tuple(planner.missing),
        returned=tuple(planner.returned),
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
    stay = {m.name: m.hash for m in context.spec.media if m.mode == "reference"}
    with run.ledger as ledger:
        sources = _sources(run)
        move = [file for file in files if file.source not in stay]
        outcomes = send_batch(
            move, sources=sources, home=run.home, ledger=ledger, progress=count
        ) + adopt_batch(
            [file for file in files if file.source in stay],
            sources=sources,
            ledger=ledger,
            hashed=stay.__getitem__,
            progress=count,
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
    totals, left_out = work.totals, work.left_out
    for result in results:
        totals, left_out = totals + result.totals, left_out + result.left_out
    changed = 0
    if outcomes or work.missing or work.returned:
        counts = upsert_media(
            _media(run),
            outcomes,
            now=context.started_at,
            missing_keys=work.missing,
            present_again=work.returned,
        )
        changed = counts.inserted + counts.updated
    return StageReport(
        transfer=totals,
        media_changed=changed,
        left_out=left_out,
        ran=frozenset({"transfer"}),
        # A run that changes no row leaves no commit, hence no provenance either.
        provenance=_write_provenance(run, outcomes) if changed and outcomes else None,
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


def _base(media: Table | None) -> dict[str, BaseRow]:
    if media is None:
        return {}
    return {
        row.key: BaseRow(row.size, row.source_version, row.source_state or "present")
        for row in iter_base_rows(media)
    }


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
    with _lines(run, "outcomes", number).open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield Outcome.model_validate_json(line)
