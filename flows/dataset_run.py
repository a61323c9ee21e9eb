"""``dataset_run``: the run branch of a flow run, from its beginning to its summary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from prefect.runtime import flow_run

from flows.resolved import credentials_of, destinations_of, ledger_url_of
from trainset.run.context import RunContext
from trainset.run.local import new_context, running
from trainset.spec import load_spec


@contextmanager
def dataset_run(
    spec: str,
    *,
    models: Path | None = None,
    retry_failed: bool = False,
    retry_dead: bool = False,
    prefer: Literal["ours", "theirs"] | None = None,
) -> Iterator[RunContext]:
    """Begin a run on a branch named after this flow run, and end it, whatever happens.

    Inside the context the work goes to the run branch and main is untouched; ``stages.publish``
    moves main. A failure keeps the branch for a look and leaves a summary that says so; after a
    crash the next run starts from the ledger and the compute cache.

    Args:
        spec: path of dataset.yaml.
        models: folder of model weights.
        retry_failed: compute cells again that failed for good.
        retry_dead: send files again that earlier runs gave up.
        prefer: whose value counts where main moved and both changed it: main's (ours), the run's.
    """
    dataset = load_spec(Path(spec))
    context = new_context(
        dataset,
        run_id=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{str(flow_run.id)[:8]}",
        credentials=credentials_of(dataset),
        models=models,
        retry_failed=retry_failed,
        retry_dead=retry_dead,
        prefer=prefer,
        destinations=destinations_of(dataset),
        ledger_url=ledger_url_of(dataset),
    )
    with running(context):
        yield context
