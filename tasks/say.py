"""Lines in the log for what a task does: the UI's log does not say whose line it shows."""

from __future__ import annotations

from typing import Protocol, TypeVar

from prefect.context import TaskRunContext
from prefect.logging import get_run_logger

from trainset.report.wording import many, took


class Told(Protocol):
    """A report that can tell itself in one line."""

    @property
    def said(self) -> str: ...


ReportT = TypeVar("ReportT", bound=Told)


def tell(report: ReportT) -> ReportT:
    """Log what the report says, and give it back."""
    if TaskRunContext.get() is not None:
        get_run_logger().info("%s", report.said)
    return report


def say_wait(files: int, seconds: float) -> None:
    """Log that a task waits on purpose, for files that may be brought a little later."""
    if TaskRunContext.get() is not None:
        waiting = many(files, "file")
        get_run_logger().info(
            "waiting %s before %s set aside is tried again", took(seconds), waiting
        )
