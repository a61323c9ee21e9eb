"""Sync labels only."""

from __future__ import annotations

from prefect import flow

from flows import stages
from flows.dataset_run import dataset_run
from flows.naming import run_name
from trainset.model import RunSummary


@flow(name="sync-metadata", flow_run_name=run_name, persist_result=False)
def sync_metadata(spec: str) -> RunSummary:
    """Read new and changed labels, match them with the media that are there, and commit.

    Args:
        spec: Path of dataset.yaml.
    """
    with dataset_run(spec) as run:
        labels = stages.sync(run)
        commit = stages.publish(run, labels)
        return stages.report(run, commit)
