"""Progress of one task, in the Prefect UI (an artifact) and in the log; at most once a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger

EVERY_S = 1.0
LOG_EVERY_S = 15.0


def task_progress(key: str, label: str, total: int) -> Callable[[int], None]:
    """A function to call with the number of items that are done so far.

    Args:
        key: artifact key; its history collects the runs.
        label: the batch, named in every message (one of the UIs does not tell tasks apart).
        total: items in this task.
    """
    if TaskRunContext.get() is None or total == 0:
        return lambda done: None
    logger = get_run_logger()
    artifact = create_progress_artifact(
        progress=0.0, key=key, description=f"{label}: {total} items"
    )
    seen = {"shown": time.monotonic(), "logged": time.monotonic()}

    def show(done: int) -> None:
        now = time.monotonic()
        if done >= total or now - seen["shown"] >= EVERY_S:
            seen["shown"] = now
            update_progress_artifact(artifact, progress=round(100 * done / total, 1))
        if done < total and now - seen["logged"] >= LOG_EVERY_S:
            seen["logged"] = now
            logger.info("%s: %d of %d items", label, done, total)

    return show
