"""Run one flow from the command line, against a Prefect server, and say how it went."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from flows.server import managed_server
from trainset.model import RunSummary
from trainset.spec import load_spec


def run_flow(options: argparse.Namespace) -> int:
    """Run the flow that ``options.command`` names; returns the exit status."""
    spec = load_spec(options.spec)  # a fault in the spec is told before a server is started
    if options.dry_run:
        from trainset.run.estimate import estimate_run

        print(estimate_run(spec).text())
        return 0
    with managed_server():
        summary = _flow(options.command)(str(options.spec), **_parameters(options))
    return tell(summary)


def tell(summary: RunSummary) -> int:
    """Print the run's outcome; returns its exit status."""
    from trainset.report.text import text_summary

    print(text_summary(summary), file=sys.stdout)
    return summary.exit_code


def _parameters(options: argparse.Namespace) -> dict[str, Any]:
    names = ("retry_failed", "models", "ref", "name")
    given = {name: getattr(options, name, None) for name in names}
    return {name: value for name, value in given.items() if value not in (None, False)}


def _flow(command: str) -> Any:
    # Imported late: a flow module imports Prefect, whose settings the server must have set first.
    if command == "pipeline":
        from flows.pipeline import pipeline as flow
    elif command == "transfer-media":
        from flows.transfer_media import transfer_media as flow
    elif command == "sync-metadata":
        from flows.sync_metadata import sync_metadata as flow
    elif command == "build-tables":
        from flows.build_tables import build_tables as flow
    elif command == "compute-columns":
        from flows.compute_columns import compute_columns as flow
    else:
        from flows.export_dataset import export_dataset as flow
    return flow
