"""Move media only."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from prefect import flow

from flows import stages
from flows.dataset_run import choose_files, dataset_run
from flows.naming import run_name
from trainset.model import RunSummary
from trainset.run.context import ReplayStage


@flow(name="transfer-media", flow_run_name=run_name, persist_result=False)
def transfer_media(
    spec: str,
    retry_dead: bool = False,
    where: str | None = None,
    from_manifest: Path | None = None,
    replay: ReplayStage | None = None,
    files: list[str] | None = None,
    prefer: Literal["ours", "theirs"] | None = None,
) -> RunSummary:
    """Move new and changed media into the home, verify them, and commit their rows.

    Args:
        spec: Path of dataset.yaml.
        retry_dead: Send files again that earlier runs gave up (dead letters).
        where: With retry_dead: only dead letters that fit, as in kind = 'checksum-mismatch'. With
            replay: only files that fit, as in path like '%.mp4'.
        from_manifest: A list of files (text, CSV or Parquet); only these are looked at. A name
            that no source lists is reported as failed.
        replay: Take files that are there already through route, read or send again.
        files: Names (keys or source uris) beside those of from_manifest.
        prefer: Where main moved meanwhile and both changed the same value: ours keeps main's,
            theirs takes this run's. Left out: the run ends and lists them.
    """
    choice = choose_files(
        retry_dead=retry_dead,
        where=where,
        manifest=from_manifest,
        replay=replay,
        files=files or (),
    )
    with dataset_run(spec, retry_dead=retry_dead, prefer=prefer, **choice) as run:
        if (commit := stages.decided(run)) is None:
            media = stages.transfer(run)
            commit = stages.publish(run, media)
        return stages.report(run, commit)
