"""Match labels and media again, without reading either."""

from __future__ import annotations

from typing import Literal

from prefect import flow

from flows import stages
from flows.dataset_run import dataset_run
from flows.naming import run_name
from trainset.model import RunSummary


@flow(name="build-tables", flow_run_name=run_name, persist_result=False)
def build_tables(spec: str, prefer: Literal["ours", "theirs"] | None = None) -> RunSummary:
    """Match all synced labels with all media again (late media, new match rules), and commit.

    Args:
        spec: Path of dataset.yaml.
        prefer: Where main moved meanwhile and both changed the same value: ours keeps main's,
            theirs takes this run's. Left out: the run ends and lists them.
    """
    with dataset_run(spec, prefer=prefer) as run:
        if (commit := stages.decided(run)) is None:
            labels = stages.align(run)
            commit = stages.publish(run, labels)
        return stages.report(run, commit)
