"""Tasks of the metadata stage."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_markdown_artifact

from tasks.policy import ONCE, RETRIED
from tasks.progress import sync_progress
from tasks.say import tell
from tasks.secret_blocks import open_block
from trainset.report.markdown import align_markdown
from trainset.run import metadata as step
from trainset.run.context import RunContext
from trainset.run.reports import StageReport, SyncResult


@task(name="sync-source", task_run_name="sync-source {source}", tags=["metadata"], **RETRIED)
def sync_source(run: RunContext, source: str) -> SyncResult:
    """Read the new and changed records of one metadata source."""
    with sync_progress(source) as progress:
        return tell(step.sync_work(run, source, open_block=open_block, progress=progress))


@task(name="align-annotations", task_run_name="align-annotations", **ONCE)
def align_annotations(run: RunContext, synced: Sequence[SyncResult] = ()) -> StageReport:
    """Match label records with media; what matches twice is reported, never guessed."""
    report = tell(step.align_work(run, synced))
    create_markdown_artifact(
        align_markdown(report, run_id=run.run_id, left_out=report.left_out),
        key="alignment-report",
        description="How labels met media, by method, source and class; what is odd about them",
    )
    return report
