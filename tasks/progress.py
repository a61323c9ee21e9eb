"""Progress of one task, in the Prefect UI (an artifact) and in the log; at most once a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger

from trainset.metadata.counted import SyncProgress

EVERY_S = 1.0
LOG_EVERY_S = 15.0


class _Watched:
    """One progress artifact: the UIs show its percentage alone, so its description has the rest."""

    def __init__(self, artifact: UUID, label: str) -> None:
        self._artifact, self._label = artifact, label
        self._shown = self._logged = time.monotonic()

    def show(self, percent: float, said: str) -> None:
        """What is known now; most calls do nothing."""
        now = time.monotonic()
        if now - self._shown >= EVERY_S:
            self._shown = now
            self._update(percent, said)
        if percent < 100 and now - self._logged >= LOG_EVERY_S:
            self._logged = now
            get_run_logger().info("%s: %s", self._label, said)

    def end(self, said: str) -> None:
        self._update(100.0, said)

    def _update(self, percent: float, said: str) -> None:
        text = f"{self._label}: {said}"
        update_progress_artifact(self._artifact, progress=round(percent, 1), description=text)


@contextmanager
def task_progress(
    key: str, label: str, total: int, unit: str = "items"
) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number of items that are done so far.

    The end is shown as 100 %, also when equal items were counted once.

    Args:
        key: artifact key; its history collects the runs.
        label: the batch, named in every message (one of the UIs does not tell tasks apart).
        total: items in this task.
        unit: what the items are.
    """
    if TaskRunContext.get() is None or total == 0:
        yield lambda done: None
        return
    watched = _watch(key, label, f"0 of {total:,} {unit}")
    yield lambda done: watched.show(min(100 * done / total, 100.0), f"{done:,} of {total:,} {unit}")
    watched.end(f"{total:,} of {total:,} {unit}")


@contextmanager
def sync_progress(source: str) -> Iterator[Callable[[SyncProgress], None] | None]:
    """Give a function for the sync of one source to call with every page that it reads.

    A source that could not be read to its end keeps what was shown last.
    """
    if TaskRunContext.get() is None:
        yield None
        return
    watched = _watch("sync-progress", source, "looking for changes")
    last = SyncProgress()

    def show(now: SyncProgress) -> None:
        nonlocal last
        last = now
        watched.show(100 * now.share, now.said)

    yield show
    watched.end(last.said)


def _watch(key: str, label: str, said: str) -> _Watched:
    text = f"{label}: {said}"
    return _Watched(create_progress_artifact(progress=0.0, key=key, description=text), label)
