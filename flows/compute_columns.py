"""Fill computed columns only."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from prefect import flow

from flows import stages
from flows.dataset_run import dataset_run
from flows.naming import run_name
from trainset.model import RunSummary


@flow(name="compute-columns", flow_run_name=run_name, persist_result=False)
def compute_columns(
    spec: str,
    models: Path | None = None,
    retry_failed: bool = False,
    prefer: Literal["ours", "theirs"] | None = None,
) -> RunSummary:
    """Fill the new, changed and failed cells of the spec's computed columns, and commit.

    Args:
        spec: Path of dataset.yaml.
        models: Folder of model weights, for machines that cannot fetch any.
        retry_failed: Compute cells again that failed for good in an earlier run.
        prefer: Where main moved meanwhile and both changed the same value: ours keeps main's,
            theirs takes this run's. Left out: the run ends and lists them.
    """
    with dataset_run(spec, models=models, retry_failed=retry_failed, prefer=prefer) as run:
        if (commit := stages.decided(run)) is None:
            cells = stages.compute(run)
            commit = stages.publish(run, cells)
        return stages.report(run, commit)
