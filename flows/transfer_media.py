"""Move media only."""

from __future__ import annotations

from typing import Literal

from prefect import flow

from flows import stages
from flows.dataset_run import dataset_run
from flows.naming import run_name
from trainset.model import RunSummary


@flow(name="transfer-media", flow_run_name=run_name, persist_result=False)
def transfer_media(
    spec: str, retry_dead: bool = False, prefer: Literal["ours", "theirs"] | None = None
) -> RunSummary:
    """Move new and changed media into the home, verify them, and commit their rows.

    Args:
        spec: Path of dataset.yaml.
        retry_dead: Send files again that earlier runs gave up (dead letters).
        prefer: Where main moved meanwhile and both changed the same value: ours keeps main's,
            theirs takes this run's. Left out: the run ends and lists them.
    """
    with dataset_run(spec, retry_dead=retry_dead, prefer=prefer) as run:
        media = stages.transfer(run)
        commit = stages.publish(run, media)
        return stages.report(run, commit)
