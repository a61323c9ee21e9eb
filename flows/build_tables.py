"""Match labels and media again, without reading either."""

from __future__ import annotations

from prefect import flow

from flows import stages
from flows.dataset_run import dataset_run
from flows.naming import run_name
from trainset.model import RunSummary


@flow(name="build-tables", flow_run_name=run_name, persist_result=False)
def build_tables(spec: str) -> RunSummary:
    """Match all synced labels with all media again (late media, new match rules), and commit.

    Args:
        spec: Path of dataset.yaml.
    """
    with dataset_run(spec) as run:
        labels = stages.align(run)
        commit = stages.publish(run, labels)
        return stages.report(run, commit)
