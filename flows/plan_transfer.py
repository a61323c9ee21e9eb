"""Plan a transfer: what would move, and what it would cost."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from prefect import flow
from prefect.utilities.annotations import quote

from flows.naming import run_name
from flows.resolved import credentials_of, destinations_of, placed
from tasks.plan import plan_transfer_report
from trainset.run.plan_report import Level, PlanReport
from trainset.spec import load_spec


@flow(name="plan-transfer", flow_run_name=run_name, persist_result=False)
def plan_transfer(
    spec: str,
    bandwidth: str | None = None,
    rates: Path | None = None,
    verify: Level | None = None,
    sample: float | None = None,
) -> PlanReport:
    """List the sources, plan against the newest commit, and say what it would cost.

    Nothing is read or written but the listings; the plan is an artifact of the run.

    Args:
        spec: Path of dataset.yaml.
        bandwidth: Of the line, as 500Mbit/s. Left out: the spec's limit.
        rates: File with a card of prices. Left out: the newest of Backblaze B2 that is known.
        verify: Level of a verification whose calls are counted too. Left out: the spec's.
        sample: Share of objects that L3 and L4 read, 0 to 1. Left out: the spec's.
    """
    dataset, lakefs = placed(load_spec(Path(spec)))
    return plan_transfer_report(
        quote(dataset),
        credentials=quote(credentials_of(dataset)),
        destinations=quote(destinations_of(dataset)),
        lakefs=quote(lakefs),
        now=datetime.now(UTC),
        bandwidth=bandwidth,
        rates=rates,
        verify=verify,
        sample=sample,
    )
