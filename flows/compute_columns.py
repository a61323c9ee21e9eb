"""Fill computed columns only."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows import stages
from flows.dataset_run import dataset_run
from flows.naming import run_name
from trainset.model import RunSummary


@flow(name="compute-columns", flow_run_name=run_name, persist_result=False)
def compute_columns(
    spec: str, models: Path | None = None, retry_failed: bool = False
) -> RunSummary:
    """Fill the new, changed and failed cells of the spec's computed columns, and commit.

    Args:
        spec: Path of dataset.yaml.
        models: Folder of model weights, for machines that cannot fetch any.
        retry_failed: Compute cells again that failed for good in an earlier run.
    """
    with dataset_run(spec, models=models, retry_failed=retry_failed) as run:
        cells = stages.compute(run)
        commit = stages.publish(run, cells)
        return stages.report(run, commit)
