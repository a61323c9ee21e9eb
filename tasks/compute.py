"""Tasks of the compute stage."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task

from tasks.policy import ONCE, RETRIED
from tasks.progress import task_progress
from tasks.say import tell
from trainset.run import compute as step
from trainset.run.context import RunContext
from trainset.run.reports import CellOutcome, CellWork, StageReport


@task(name="plan-cells", task_run_name="plan-cells", **ONCE)
def plan_cells(run: RunContext) -> list[CellWork]:
    """Find the cells that are new, stale or to be tried again."""
    return step.plan_work(run)


@task(name="compute-partition", task_run_name="compute-partition {work.label}", **RETRIED)
def compute_partition(run: RunContext, work: CellWork) -> CellOutcome:
    """Compute the due cells of one fragment; finished batches are kept whatever happens."""
    label = f"partition {work.label}"
    with task_progress("compute-progress", label, work.cells, "cells") as progress:
        return tell(step.compute_work(run, work, progress=progress))


@task(name="commit-cells", task_run_name="commit-cells", **ONCE)
def commit_cells(run: RunContext, outcomes: Sequence[CellOutcome]) -> StageReport:
    """Make the cells of all partitions visible at once."""
    return tell(step.commit_work(run, outcomes))
