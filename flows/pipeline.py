"""The main flow: everything a dataset.yaml says, incrementally."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from prefect import flow

from flows import stages
from flows.dataset_run import choose_files, dataset_run
from flows.naming import run_name
from trainset.model import RunSummary


@flow(name="pipeline", flow_run_name=run_name, persist_result=False, validate_parameters=True)
def pipeline(
    spec: str,
    models: Path | None = None,
    retry_failed: bool = False,
    retry_dead: bool = False,
    where: str | None = None,
    prefer: Literal["ours", "theirs"] | None = None,
) -> RunSummary:
    """Make the dataset what its spec says, and commit it.

    Media and labels come in, are matched, computed columns are filled, and when the gate is content
    main moves to the new commit, which is tagged and exported. What is there already is not moved,
    read or computed again.

    Args:
        spec: Path of dataset.yaml.
        models: Folder of model weights, for machines that cannot fetch any.
        retry_failed: Compute cells again that failed for good in an earlier run.
        retry_dead: Send files again that earlier runs gave up (dead letters).
        where: With retry_dead: only dead letters that fit, as in kind = 'checksum-mismatch'.
        prefer: Where main moved meanwhile and both changed the same value: ours keeps main's,
            theirs takes this run's. Left out: the run ends and lists them.
    """
    choice = choose_files(retry_dead=retry_dead, where=where, manifest=None, replay=None)
    options = {"models": models, "retry_failed": retry_failed, "retry_dead": retry_dead}
    with dataset_run(spec, prefer=prefer, **options, **choice) as run:
        if (commit := stages.decided(run)) is None:
            media = stages.transfer(run)
            labels = stages.sync(run, media)
            cells = stages.compute(run, labels)
            commit = stages.publish(run, media, labels, cells)
        exports = stages.export(run, commit)
        return stages.report(run, commit, exports)
