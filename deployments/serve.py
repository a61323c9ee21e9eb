"""Serve the flows of one dataset from one long process: no work pool, no worker.

    python -m deployments.serve dataset.yaml [--cron "0 3 * * *"]

The flows then stand in the UI with a Run button, and the pipeline runs on the schedule. Needs a
Prefect server of your own (PREFECT_API_URL). When the process ends, the schedule pauses with it.
Batches sent at once, over all runs of the server: ``prefect concurrency-limit create b2-upload 4``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron

from flows.build_tables import build_tables
from flows.collect_garbage import collect_garbage
from flows.compute_columns import compute_columns
from flows.decide_run import decide_run
from flows.export_dataset import export_dataset
from flows.pipeline import pipeline
from flows.plan_transfer import plan_transfer
from flows.sync_metadata import sync_metadata
from flows.transfer_media import transfer_media
from flows.verify_transfer import verify_transfer
from trainset.spec import load_spec

FLOWS = (
    pipeline,
    plan_transfer,
    transfer_media,
    verify_transfer,
    sync_metadata,
    build_tables,
    compute_columns,
    export_dataset,
    decide_run,
    collect_garbage,
)


def deployments(spec: Path, cron: str) -> list[RunnerDeployment]:
    """One deployment a flow, named after the dataset; only the pipeline has a schedule."""
    name = load_spec(spec).name
    return [
        flow.to_deployment(
            name,
            # The whole docstring would show, its arguments run together.
            description=(flow.description or "").partition("\n\nArgs:")[0],
            parameters={"spec": str(spec.resolve())},
            schedules=[Cron(cron, timezone="UTC", slug="pipeline")] if flow is pipeline else None,
            concurrency_limit=ConcurrencyLimitConfig(
                limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE
            ),
            tags=["trainset"],
        )
        for flow in FLOWS
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m deployments.serve", description=__doc__)
    parser.add_argument("spec", type=Path, help="the dataset spec, dataset.yaml")
    parser.add_argument("--cron", default="0 3 * * *", help="when the pipeline runs, in UTC")
    options = parser.parse_args()
    serve(*deployments(options.spec, options.cron))
