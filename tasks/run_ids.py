"""The id of the task run that is under way, for the library's records: it knows no Prefect."""

from __future__ import annotations

from prefect.context import TaskRunContext


def task_run_id() -> str | None:
    """None outside a task run."""
    context = TaskRunContext.get()
    return None if context is None else str(context.task_run.id)
