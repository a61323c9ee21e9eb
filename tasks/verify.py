"""Task of the verification of what was transferred."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact

from tasks.policy import RETRIED
from tasks.progress import task_progress
from tasks.run_ids import task_run_id
from tasks.say import tell
from trainset.run import verify_transfer as step
from trainset.transfer.verify_report import VerifyResult


@task(name="verify-transfer", task_run_name="verify-transfer {work.ref}", **RETRIED)
def verify_transfer(work: step.VerifyWork) -> VerifyResult:
    """Compare a commit's media with their places; only looks."""
    with task_progress("verify-progress", f"verify {work.ref}", 100, "percent") as show:
        result = tell(
            step.verify_transfer(
                work,
                progress=lambda done, of: show(100 * done // of),
                task_run_id=task_run_id(),
            )
        )
    create_markdown_artifact(
        step.verify_markdown(result, work),
        key="verify-report",
        description="Which files were checked, how far, and what is wrong",
    )
    return result
