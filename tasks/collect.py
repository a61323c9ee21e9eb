"""Task of the garbage collection."""

from __future__ import annotations

from prefect import task

from tasks.policy import RETRIED
from tasks.say import tell
from trainset.run import collect as step


@task(name="collect-garbage", task_run_name="collect-garbage", **RETRIED)
def collect_garbage(work: step.CollectWork) -> step.CollectReport:
    """Find what nothing needs, and remove it where the work says so; repeating it is safe."""
    return tell(step.collect_garbage(work))
