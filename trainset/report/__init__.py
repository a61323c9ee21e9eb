"""Reports of a run: the HTML page, the text in the terminal, markdown for Prefect's UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainset.report.model import Hit, Search
from trainset.report.text import text_summary

if TYPE_CHECKING:
    from trainset.report.page import write_report

__all__ = ["Hit", "Search", "text_summary", "write_report"]


def __getattr__(name: str) -> Any:
    # Lazy: the page needs pyarrow, the terminal text does not.
    if name == "write_report":
        from trainset.report.page import write_report

        return write_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
