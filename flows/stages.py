"""The stages that flows are made of: which tasks, in which order, over which partitions.

Tasks hand futures to tasks, so that the graph in the UI shows what waited for what. The run itself
is quoted: Prefect would look for futures in it at every call, and draw arrows between tasks whose
results happen to share a value.
"""

from __future__ import annotations

from typing import Any

from prefect import State, unmapped
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.states import Failed
from prefect.utilities.annotations import quote

from flows.approval import answer, asked_before
from flows.limits import read_upload_limit, say_upload_limit
from tasks import compute as compute_tasks
from tasks import export as export_tasks
from tasks import metadata as metadata_tasks
from tasks import publish as publish_tasks
from tasks import transfer as transfer_tasks
from trainset.model import Decision, RunSummary
from trainset.run.context import RunContext
from trainset.run.reports import Exported, Published, StageReport
from trainset.run.waiting import Waiting

Future = PrefectFuture[Any]
Report = PrefectFuture[StageReport]


def transfer(run: RunContext) -> Report:
    """List, send batch by batch, write the media rows."""
    work = transfer_tasks.plan_transfer.submit(quote(run))
    batches = work.result().batches
    if batches:
        get_run_logger().info("%s", say_upload_limit(read_upload_limit(), len(batches)))
    results = transfer_tasks.transfer_batch.map(unmapped(quote(run)), batches, wait_for=[work])
    sent = list(results)
    if any(result.result().aside for result in results):
        sent.append(transfer_tasks.transfer_again.submit(quote(run), results))
    return _ended(transfer_tasks.write_media_rows.submit(quote(run), work, sent), *sent)


def sync(run: RunContext, media: Report | None = None) -> Report:
    """Read every metadata source, then match all labels with all media."""
    names = [source.name for source in run.spec.metadata]
    synced = metadata_tasks.sync_source.map(unmapped(quote(run)), names, wait_for=[media])
    return _ended(metadata_tasks.align_annotations.submit(quote(run), synced), *synced)


def align(run: RunContext) -> Report:
    """Match all labels with all media."""
    return _ended(metadata_tasks.align_annotations.submit(quote(run)))


def compute(run: RunContext, before: Report | None = None) -> Report:
    """Plan the due cells, compute them fragment by fragment, make them visible at once."""
    work = compute_tasks.plan_cells.submit(quote(run), wait_for=[before])
    parts = work.result()
    outcomes = compute_tasks.compute_partition.map(unmapped(quote(run)), parts, wait_for=[work])
    done = compute_tasks.commit_cells.submit(quote(run), outcomes, wait_for=[work])
    return _ended(done, *outcomes)


def decided(run: RunContext) -> PrefectFuture[Published] | None:
    """What somebody decided of this flow run while it was suspended, done; None: it begins."""
    if (waiting := asked_before(run)) is None:
        return None
    return decide(run, waiting, answer(run, waiting))


def decide(run: RunContext, waiting: Waiting, decision: Decision) -> PrefectFuture[Published]:
    """Move main to the commit that waits, or leave it where it is."""
    return _locked(run, publish_tasks.decide.submit(quote(run), quote(waiting), decision))


def publish(run: RunContext, *reports: Report) -> PrefectFuture[Published]:
    """Gate, commit, merge, tag; and a lock on all that the tag reaches, where the spec says so."""
    return _locked(run, publish_tasks.publish.submit(quote(run), list(reports)))


def _locked(run: RunContext, published: PrefectFuture[Published]) -> PrefectFuture[Published]:
    _ended(published)
    if run.spec.lock_tags is not None:
        _ended(publish_tasks.lock_tag.submit(quote(run), published))
    return published


def look_up(run: RunContext, ref: str) -> PrefectFuture[Published]:
    """The commit of ``ref``, for flows that only read."""
    return _ended(publish_tasks.look_up_commit.submit(quote(run), ref))


def export(
    run: RunContext, published: PrefectFuture[Published], name: str | None = None
) -> list[PrefectFuture[Exported]]:
    """Write the spec's exports of a commit, or the one called ``name``."""
    if published.result().commit is None:
        return []
    names = [one for one in run.spec.exports if name in (None, one)]
    futures = export_tasks.export.map(unmapped(quote(run)), unmapped(published), names)
    return [_ended(future) for future in futures]


def report(
    run: RunContext,
    published: PrefectFuture[Published],
    exports: list[PrefectFuture[Exported]] | None = None,
) -> RunSummary | State[RunSummary]:
    """Write the run's summary and report; what the gate refused ends the flow as failed."""
    written = publish_tasks.write_report.submit(quote(run), published, exports or [])
    summary: RunSummary = written.result()
    if summary.status == "refused":
        return Failed(message="; ".join(published.result().reasons), data=summary)
    return summary


def _ended(last: Future, *before: Future) -> Future:
    """Wait; the first task that failed ends the flow with its own error, not a follower's."""
    for future in (*before, last):
        future.result()
    return last
