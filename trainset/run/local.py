"""The whole way in this process, without an orchestrator: what a notebook calls.

``run_pipeline`` does what the flow ``pipeline`` does, one partition after the other; the stages
are functions of their own, for a run that needs only some of them (see ``running``).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from trainset.model import Credentials, Decision, RunSummary
from trainset.run import compute as compute_steps
from trainset.run import exports as export_steps
from trainset.run import metadata as metadata_steps
from trainset.run import publish as publish_steps
from trainset.run import sending
from trainset.run import summary as summary_steps
from trainset.run import transfer as transfer_steps
from trainset.run.approval import decide
from trainset.run.context import ReplayStage, Run, RunContext, begin_run, end_run, now
from trainset.run.destinations import Destinations
from trainset.run.media_rows import write_rows
from trainset.run.reports import Exported, Published, StageReport
from trainset.run.tag_lock import lock_published
from trainset.run.waiting import as_waited, choose_waiting
from trainset.spec import DatasetSpec
from trainset.transfer.selection import Only
from trainset.versions.lakefs.access import LakeFSAccess
from trainset.versions.rowmerge import Prefer


def run_pipeline(
    spec: DatasetSpec,
    *,
    run_id: str | None = None,
    credentials: Credentials | None = None,
    models: Path | None = None,
    retry_failed: bool = False,
    retry_dead: bool = False,
    prefer: Prefer | None = None,
    destinations: Destinations | None = None,
) -> RunSummary:
    """Make the dataset what its spec says, and commit it; safe to repeat, also after kill -9.

    Args:
        spec: as ``trainset.spec.load_spec`` reads it.
        run_id: names the run's branch and its folder under ``runs/``; None: the time and a random
            number.
        credentials: of the buckets; None: from the environment (``B2_KEY_ID`` …).
        models: folder of model weights, for machines that cannot fetch any.
        retry_failed: compute cells again that failed for good in an earlier run.
        retry_dead: send files again that earlier runs gave up.
        prefer: what counts where main moved meanwhile and both changed the same value: main's
            (``ours``) or this run's (``theirs``); None: the run ends, and lists them.
        destinations: the places of rules that say ``to: block:<name>``, by that word.
    Returns:
        The summary; ``status`` is ``refused`` when the gate kept main from moving.
    Raises:
        TrainsetError: the run ended; main is where it was, or holds the whole run. ``runs/`` has a
            summary with the reason.
    """
    context = new_context(
        spec,
        run_id=run_id,
        credentials=credentials,
        models=models,
        retry_failed=retry_failed,
        retry_dead=retry_dead,
        prefer=prefer,
        destinations=destinations,
    )
    with running(context):
        report = transfer(context) + sync(context) + compute(context)
        published = publish_steps.publish(context, report)
        lock_published(context, published)
        return summary_steps.write_summary(context, published, export(context, published))


def run_transfer(
    spec: DatasetSpec,
    *,
    credentials: Credentials | None = None,
    retry_dead: bool = False,
    retry_where: str | None = None,
    only: Only | None = None,
    replay: ReplayStage | None = None,
    destinations: Destinations | None = None,
) -> RunSummary:
    """The transfer alone, and the commit of its rows; else as ``run_pipeline``.

    Args:
        retry_where: of ``retry_dead``: a condition on dead letters (``OF_DEAD_LETTERS``).
        only: the files that it is about. A name that no source lists is a failure of its own.
        replay: take them through these stages again, though they are there already.
    Raises:
        InputError: no name of ``only`` is in any source; or as ``run_pipeline``.
    """
    context = new_context(
        spec,
        credentials=credentials,
        retry_dead=retry_dead,
        retry_where=retry_where,
        only=only,
        replay=replay,
        destinations=destinations,
    )
    with running(context):
        published = publish_steps.publish(context, transfer(context))
        lock_published(context, published)
        return summary_steps.write_summary(context, published, [])


def decide_run(
    spec: DatasetSpec,
    decision: Decision,
    *,
    run_id: str | None = None,
    credentials: Credentials | None = None,
    prefer: Prefer | None = None,
) -> RunSummary:
    """Answer a run that waits for approval, and make its exports where main moved.

    Args:
        run_id: of the run; None: the only one that waits.
        prefer: as for ``run_pipeline``, where main moved since the run asked.
    Raises:
        InputError: it does not wait (any more); names those that do. Else as ``run_pipeline``.
    """
    context = new_context(spec, credentials=credentials, prefer=prefer)
    waiting = choose_waiting(Run(context).home, run_id)
    context = as_waited(context, waiting)
    with running(context):
        published = decide(context, waiting, decision)
        lock_published(context, published)
        return summary_steps.write_summary(context, published, export(context, published))


def new_context(
    spec: DatasetSpec,
    *,
    run_id: str | None = None,
    credentials: Credentials | None = None,
    models: Path | None = None,
    retry_failed: bool = False,
    retry_dead: bool = False,
    prefer: Prefer | None = None,
    destinations: Destinations | None = None,
    lakefs: LakeFSAccess | None = None,
    ledger_url: SecretStr | None = None,
    flow_run_id: str | None = None,
    retry_where: str | None = None,
    only: Only | None = None,
    replay: ReplayStage | None = None,
) -> RunContext:
    """The data of a run that starts now; see ``run_pipeline`` and ``run_transfer``."""
    started = now()
    return RunContext(
        run_id=run_id or f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
        started_at=started,
        flow_run_id=flow_run_id,
        retry_where=retry_where,
        only=only,
        replay=replay,
        spec=spec,
        credentials=credentials,
        models=models,
        retry_failed=retry_failed,
        retry_dead=retry_dead,
        prefer=prefer,
        destinations=destinations or {},
        lakefs=lakefs,
        ledger_url=ledger_url,
    )


@contextmanager
def running(context: RunContext) -> Iterator[None]:
    """A run branch from its beginning to its end; what ends the block early is in the summary."""
    begin_run(context)
    try:
        yield
    except BaseException as err:
        summary_steps.write_failed_summary(context, err)
        raise
    finally:
        end_run(context)


def transfer(context: RunContext) -> StageReport:
    """List, send batch by batch, write the media rows."""
    work = transfer_steps.plan_work(context)
    sent = [sending.send_work(context, batch) for batch in work.batches]
    if any(result.aside for result in sent):
        sent.append(sending.send_aside(context, sent))
    return write_rows(context, work, sent)


def sync(context: RunContext) -> StageReport:
    """Read every metadata source, then match all labels with all media."""
    synced = [metadata_steps.sync_work(context, source.name) for source in context.spec.metadata]
    return metadata_steps.align_work(context, synced)


def compute(context: RunContext) -> StageReport:
    """Compute the due cells fragment by fragment, then make them visible at once."""
    work = compute_steps.plan_work(context)
    done = [compute_steps.compute_work(context, partition) for partition in work]
    return compute_steps.commit_work(context, done)


def export(context: RunContext, published: Published) -> list[Exported]:
    """Write the spec's exports of what was published."""
    if published.commit is None:
        return []
    return [export_steps.export_work(context, published, name) for name in context.spec.exports]
