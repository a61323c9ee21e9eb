"""The stages that flows are made of: which tasks, in which order, over which partitions."""

from __future__ import annotations

from prefect import State, unmapped
from prefect.states import Failed

from tasks import compute as compute_tasks
from tasks import export as export_tasks
from tasks import metadata as metadata_tasks
from tasks import publish as publish_tasks
from tasks import transfer as transfer_tasks
from trainset.model import RunSummary
from trainset.run.context import RunContext
from trainset.run.reports import Exported, Published, StageReport


def transfer(run: RunContext) -> StageReport:
    """List, send batch by batch, write the media rows."""
    work = transfer_tasks.plan_transfer.submit(run)
    results = transfer_tasks.transfer_batch.map(
        unmapped(run), work.result().batches, wait_for=[work]
    )
    return transfer_tasks.write_media_rows(run, work, results)


def sync(run: RunContext, media: StageReport | None = None) -> StageReport:
    """Read every metadata source, then match all labels with all media."""
    names = [source.name for source in run.spec.metadata]
    synced = metadata_tasks.sync_source.map(unmapped(run), names, wait_for=[media])
    return metadata_tasks.align_annotations(run, synced)


def align(run: RunContext) -> StageReport:
    """Match all labels with all media."""
    return metadata_tasks.align_annotations(run)


def compute(run: RunContext, before: StageReport | None = None) -> StageReport:
    """Plan the due cells, compute them fragment by fragment, make them visible at once."""
    work = compute_tasks.plan_cells.submit(run, wait_for=[before])
    outcomes = compute_tasks.compute_partition.map(unmapped(run), work.result(), wait_for=[work])
    return compute_tasks.commit_cells(run, outcomes)


def publish(run: RunContext, *reports: StageReport) -> Published:
    """Gate, commit, merge, tag."""
    return publish_tasks.publish(run, sum(reports, StageReport()), wait_for=list(reports))


def look_up(run: RunContext, ref: str) -> Published:
    """The commit of ``ref``, for flows that only read."""
    return publish_tasks.look_up_commit(run, ref)


def export(run: RunContext, published: Published, name: str | None = None) -> list[Exported]:
    """Write the spec's exports of a commit, or the one called ``name``."""
    if published.commit is None:
        return []
    names = [one for one in run.spec.exports if name in (None, one)]
    futures = export_tasks.export.map(unmapped(run), unmapped(published), names)
    return [future.result() for future in futures]


def report(
    run: RunContext, published: Published, exports: list[Exported] | None = None
) -> RunSummary | State[RunSummary]:
    """Write the run's summary and report; what the gate refused ends the flow as failed."""
    summary: RunSummary = publish_tasks.write_report(run, published, exports or [])
    if summary.status == "refused":
        return Failed(message="; ".join(published.reasons), data=summary)
    return summary
