"""Move media only."""

from __future__ import annotations

from prefect import flow

from flows import stages
from flows.dataset_run import dataset_run
from flows.naming import run_name
from trainset.model import RunSummary


@flow(name="transfer-media", flow_run_name=run_name, persist_result=False)
def transfer_media(spec: str) -> RunSummary:
    """Move new and changed media into the home, verify them, and commit their rows.

    Args:
        spec: Path of dataset.yaml.
    """
    with dataset_run(spec) as run:
        media = stages.transfer(run)
        commit = stages.publish(run, media)
        return stages.report(run, commit)
