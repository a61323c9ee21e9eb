"""The task of the plan."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from prefect import task
from prefect.artifacts import create_markdown_artifact

from tasks.policy import RETRIED
from tasks.say import tell
from trainset.model import Credentials
from trainset.run.destinations import Destinations
from trainset.run.plan_report import Level, PlanReport, plan_report
from trainset.run.plan_text import plan_markdown
from trainset.spec import DatasetSpec
from trainset.transfer.rates import load_rates
from trainset.versions.lakefs.access import LakeFSAccess


@task(name="plan-transfer-report", task_run_name="plan-transfer-report", **RETRIED)
def plan_transfer_report(
    spec: DatasetSpec,
    *,
    now: datetime,
    bandwidth: str | None = None,
    rates: Path | None = None,
    verify: Level | None = None,
    sample: float | None = None,
    credentials: Credentials | None = None,
    destinations: Destinations | None = None,
    lakefs: LakeFSAccess | None = None,
) -> PlanReport:
    """List the sources and price what would move; nothing moves."""
    report = plan_report(
        spec,
        credentials,
        destinations=destinations,
        lakefs=lakefs,
        now=now,
        bandwidth=bandwidth,
        rates=load_rates(rates),
        verify=verify,
        sample=sample,
    )
    create_markdown_artifact(
        plan_markdown(report), key="transfer-plan", description="What would move, and its price"
    )
    return tell(report)
