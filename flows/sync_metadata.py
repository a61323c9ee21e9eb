"""Sync labels only."""

from __future__ import annotations

from typing import Literal

from prefect import flow

from flows import stages
from flows.dataset_run import dataset_run
from flows.naming import run_name
from trainset.model import RunSummary


@flow(name="sync-metadata", flow_run_name=run_name, persist_result=False)
def sync_metadata(spec: str, prefer: Literal["ours", "theirs"] | None = None) -> RunSummary:
    """Read new and changed labels, match them with the media that are there, and commit.

    Args:
        spec: Path of dataset.yaml.
        prefer: Where main moved meanwhile and both changed the same value: ours keeps main's,
            theirs takes this run's. Left out: the run ends and lists them.
    """
    with dataset_run(spec, prefer=prefer) as run:
        if (commit := stages.decided(run)) is None:
            labels = stages.sync(run)
            commit = stages.publish(run, labels)
        return stages.report(run, commit)
