"""Progress of one task, in the Prefect UI (an artifact) and in the log; at most once a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger

EVERY_S = 1.0
LOG_EVERY_S = 15.0


@contextmanager
def task_progress(key: str, label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number of items that are done so far.

    The end is shown as 100 %, also when equal items were counted once.

    Args:
        key: artifact key; its history collects the runs.
        label: the batch, named in every message (one of the UIs does not tell tasks apart).
        total: items in this task.
    """
    if TaskRunContext.get() is None or total == 0:
        yield lambda done: None
        return
    logger = get_run_logger()
    artifact = create_progress_artifact(
        progress=0.0, key=key, description=f"{label}: {total} items"
    )
    seen = {"shown": time.monotonic(), "logged": time.monotonic()}

    def show(done: int) -> None:
        now = time.monotonic()
        if now - seen["shown"] >= EVERY_S:
            seen["shown"] = now
            update_progress_artifact(artifact, progress=round(100 * done / total, 1))
        if done < total and now - seen["logged"] >= LOG_EVERY_S:
            seen["logged"] = now
            logger.info("%s: %d of %d items", label, done, total)

    yield show
    update_progress_artifact(artifact, progress=100.0)
