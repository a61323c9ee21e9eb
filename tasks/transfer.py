"""Tasks of the transfer stage."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_markdown_artifact

from tasks.policy import ONCE, RETRIED
from tasks.progress import task_progress
from tasks.run_ids import task_run_id
from tasks.say import say_wait, tell
from trainset.report.markdown import transfer_markdown
from trainset.run import media_rows, sending
from trainset.run import transfer as step
from trainset.run.context import RunContext
from trainset.run.reports import BatchResult, StageReport, TransferBatch, TransferWork


@task(name="plan-transfer", task_run_name="plan-transfer", **RETRIED)
def plan_transfer(run: RunContext) -> TransferWork:
    """List the sources against the media table; nothing moves yet."""
    return tell(step.plan_work(run, task_run_id=task_run_id()))


@task(
    name="transfer-batch",
    task_run_name="transfer-batch {batch.label}",
    tags=["b2-upload"],  # flows/limits.py: how many at once, over all runs of a server
    **RETRIED,
)
def transfer_batch(run: RunContext, batch: TransferBatch) -> BatchResult:
    """Send one batch of files; files that are there already are not sent again."""
    label = f"batch {batch.label}"
    with task_progress("transfer-progress", label, batch.files, "files") as progress:
        return tell(sending.send_work(run, batch, progress=progress, task_run_id=task_run_id()))


@task(name="transfer-again", task_run_name="transfer-again", tags=["b2-upload"], **RETRIED)
def transfer_again(run: RunContext, results: Sequence[BatchResult]) -> BatchResult:
    """Try files again that failed for a passing reason, before they are left to the next run."""
    aside = sum(result.aside for result in results)
    with task_progress("transfer-progress", "set aside", aside, "files") as progress:
        return tell(
            sending.send_aside(
                run, results, progress=progress, task_run_id=task_run_id(), on_wait=say_wait
            )
        )


@task(name="write-media-rows", task_run_name="write-media-rows", **ONCE)
def write_media_rows(
    run: RunContext, work: TransferWork, results: Sequence[BatchResult]
) -> StageReport:
    """Write what was sent into the media table of the run branch."""
    report = tell(media_rows.write_rows(run, work, results))
    create_markdown_artifact(
        transfer_markdown(
            report,
            report.transfer_facts,
            run_id=run.run_id,
            home=run.spec.home,
            provenance=report.provenance,
        ),
        key="transfer-report",
        description="What was moved and verified, what was not, why, and what to do about it",
    )
    return report
