"""The Prefect policy that all tasks share: what is retried, and that Prefect caches nothing.

The store is the record: a repeated task finds what it did before. Prefect's own cache would judge
by the task's source and inputs, which know nothing of what changed in a bucket.
"""

from __future__ import annotations

from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from trainset.errors import TransientError


def on_transient_error(task: Task[Any, Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Retry only what may go through later."""
    try:
        state.result()
    except TransientError:
        return True
    except BaseException:
        return False
    return False


ONCE: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
RETRIED: dict[str, Any] = {
    **ONCE,
    "retries": 4,
    "retry_delay_seconds": [2, 10, 60, 300],
    "retry_condition_fn": on_transient_error,
}
