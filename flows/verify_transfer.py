"""Verify what was transferred."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from prefect import State, flow
from prefect.runtime import flow_run
from prefect.states import Failed
from prefect.utilities.annotations import quote

from flows.naming import run_name
from flows.resolved import credentials_of, destinations_of, ledger_url_of, placed
from tasks import verify as verify_tasks
from trainset.run.verify_transfer import VerifyWork
from trainset.spec import load_spec
from trainset.transfer.selection import Only
from trainset.transfer.verify_report import Level, VerifyResult


@flow(name="verify-transfer", flow_run_name=run_name, persist_result=False)
def verify_transfer(
    spec: str,
    level: Level | None = None,
    sample: float | None = None,
    ref: str = "main",
    seed: int = 0,
    from_manifest: Path | None = None,
    files: list[str] | None = None,
) -> VerifyResult | State[VerifyResult]:
    """Compare the media of a commit with the places they were sent to; changes nothing.

    Args:
        spec: Path of dataset.yaml.
        level: L2 compares a listing, L3 also reads objects back, L4 also reads the sources again.
            Left out: the spec's own, at least L2.
        sample: Share of objects that L3 and L4 read, 0 to 1. Left out: the spec's own.
        ref: Branch, tag or commit.
        seed: Chooses the sample; the same seed reads the same objects.
        from_manifest: A list of files (text, CSV or Parquet); only these are verified.
        files: Names (keys or source uris) beside those of from_manifest.
    """
    dataset, lakefs = placed(load_spec(Path(spec)))
    now = datetime.now(UTC)
    work = VerifyWork(
        run_id=f"{now:%Y%m%d-%H%M%S}-{str(flow_run.id)[:8]}",
        at=now,
        flow_run_id=str(flow_run.id),
        spec=dataset,
        ref=ref,
        level=level or max(dataset.transfer.verify, "L2"),
        sample=dataset.transfer.sample if sample is None else sample,
        seed=seed,
        only=Only(manifest=from_manifest, files=tuple(files or ())),
        credentials=credentials_of(dataset),
        destinations=destinations_of(dataset),
        lakefs=lakefs,
        ledger_url=ledger_url_of(dataset),
    )
    result = verify_tasks.verify_transfer(quote(work))
    if result.ok:
        return result
    return Failed(message=f"verification: {result.said}", data=result)
