"""Remove what no commit, branch, tag or run of a dataset needs any more."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from prefect import flow
from prefect.utilities.annotations import quote

from flows.naming import run_name
from flows.resolved import credentials_of
from tasks import collect as collect_tasks
from trainset.run.collect import CollectReport, CollectWork
from trainset.spec import load_spec


@flow(name="collect-garbage", flow_run_name=run_name, persist_result=False)
def collect_garbage(
    spec: str, keep_days: float = 7, apply: bool = False, hidden: bool = False
) -> CollectReport:
    """Find table files, media and git packs that nothing needs, and remove them.

    Args:
        spec: Path of dataset.yaml.
        keep_days: What changed in the last so many days stays.
        apply: Remove it; otherwise only say what would go.
        hidden: On a bucket that keeps versions, remove for good, old versions too.
    """
    dataset = load_spec(Path(spec))
    work = CollectWork(
        spec=dataset,
        now=datetime.now(UTC),
        keep_days=keep_days,
        apply=apply,
        hidden=hidden,
        credentials=credentials_of(dataset),
    )
    return collect_tasks.collect_garbage(quote(work))
