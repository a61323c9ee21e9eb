"""Tasks that end a run: gate, commit and merge; look up; report."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_markdown_artifact

from tasks.policy import ONCE, RETRIED
from tasks.progress import task_progress
from tasks.say import tell
from tasks.secret_blocks import open_block
from trainset.model import GIT, Decision, RunSummary
from trainset.report.markdown import gate_markdown, run_markdown
from trainset.run import approval as approval_step
from trainset.run import publish as step
from trainset.run import summary as summary_step
from trainset.run import tag_lock as lock_step
from trainset.run.context import RunContext
from trainset.run.reports import Exported, Published, StageReport
from trainset.run.tag_lock import Locked
from trainset.run.waiting import Waiting


@task(name="publish", task_run_name="publish", **RETRIED)
def publish(run: RunContext, reports: Sequence[StageReport]) -> Published:
    """Ask the gate; when it is content commit, merge into main, and tag."""
    total = sum(reports, StageReport())
    linked = 0 if run.spec.versions == GIT else total.media_changed
    with task_progress("link-progress", "media shown in lakeFS", linked, "media") as progress:
        published = tell(step.publish(run, total, open_block=open_block, progress=progress))
    _show_verdict(published)
    return published


@task(name="decide", task_run_name="decide", **RETRIED)
def decide(run: RunContext, waiting: Waiting, decision: Decision) -> Published:
    """Do what somebody decided of a run that waits."""
    total = 0 if run.spec.versions == GIT else waiting.published.report.media_changed
    with task_progress("link-progress", "media shown in lakeFS", total, "media") as progress:
        published = tell(
            approval_step.decide(run, waiting, decision, open_block=open_block, progress=progress)
        )
    _show_verdict(published)
    return published


@task(name="lock-tag", task_run_name="lock-tag", **RETRIED)
def lock_tag(run: RunContext, published: Published) -> Locked | None:
    """Lock every object that the run's tag reaches; repeating it is safe."""
    media = lock_step.media_of(run, published)
    with task_progress("lock-progress", "locked", media, "media and more") as progress:
        locked = lock_step.lock_published(run, published, progress)
    return locked and tell(locked)


@task(name="look-up-commit", task_run_name="look-up-commit", **RETRIED)
def look_up_commit(run: RunContext, ref: str) -> Published:
    """Find the commit that a branch, tag or commit id names."""
    return tell(step.look_up(run, ref))


@task(name="write-report", task_run_name="write-report", **ONCE)
def write_report(
    run: RunContext, published: Published, exports: Sequence[Exported] = ()
) -> RunSummary:
    """Write summary.json and report.html of the run."""
    summary = summary_step.write_summary(run, published, exports)
    create_markdown_artifact(
        run_markdown(summary, home=run.spec.home),
        key="run-summary",
        description="The run at a glance, and what it left out",
    )
    return summary


def _show_verdict(published: Published) -> None:
    create_markdown_artifact(
        gate_markdown(published),
        key="gate-verdict",
        description="What the gate looked at, and why main moved or did not",
    )
