"""Move media only."""

from __future__ import annotations

from prefect import flow

from flows import stages
from flows.dataset_run import dataset_run
from flows.naming import run_name
from trainset.model import RunSummary


@flow(name="transfer-media", flow_run_name=run_name, persist_result=False)
def transfer_media(spec: str, retry_dead: bool = False) -> RunSummary:
    """Move new and changed media into the home, verify them, and commit their rows.

    Args:
        spec: Path of dataset.yaml.
        retry_dead: Send files again that earlier runs gave up (dead letters).
    """
    with dataset_run(spec, retry_dead=retry_dead) as run:
        media = stages.transfer(run)
        commit = stages.publish(run, media)
        return stages.report(run, commit)
