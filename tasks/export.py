"""Tasks of the export stage."""

from __future__ import annotations

from prefect import task

from tasks.policy import RETRIED
from tasks.say import tell
from trainset.run import exports as step
from trainset.run.context import RunContext
from trainset.run.reports import Exported, Published


@task(name="export", task_run_name="export {name}", **RETRIED)
def export(run: RunContext, published: Published, name: str) -> Exported:
    """Write one export of the commit; a finished one is left as it is."""
    return tell(step.export_work(run, published, name))
