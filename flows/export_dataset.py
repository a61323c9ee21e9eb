"""Export only."""

from __future__ import annotations

from prefect import flow

from flows import stages
from flows.dataset_run import dataset_run
from flows.naming import run_name
from trainset.model import RunSummary


@flow(name="export-dataset", flow_run_name=run_name, persist_result=False)
def export_dataset(spec: str, ref: str = "main", name: str | None = None) -> RunSummary:
    """Write the spec's exports of one commit, or one of them.

    Args:
        spec: Path of dataset.yaml.
        ref: Branch, tag or commit to export.
        name: Only the export of this name.
    """
    with dataset_run(spec) as run:
        commit = stages.look_up(run, ref)
        exports = stages.export(run, commit, name)
        return stages.report(run, commit, exports)
