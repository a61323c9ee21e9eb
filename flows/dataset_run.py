"""``dataset_run``: a flow's run branch, from its beginning to its summary, whatever happens.

Inside the context the work goes to the run branch and main is untouched. Success publishes it
(gate, commit, merge, tag); failure keeps the branch for a look, writes a summary that says so, and
fails the flow; a crash is found by the next run, which starts from ledger and compute cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prefect.runtime import flow_run

from trainset.model import Credentials
from trainset.run.context import RunContext, begin_run, end_run
from trainset.run.summary import write_failed_summary
from trainset.spec import load_spec


@contextmanager
def dataset_run(
    spec: str, *, models: Path | None = None, retry_failed: bool = False
) -> Iterator[RunContext]:
    """Begin a run on a branch named after this flow run, and end it.

    Args:
        spec: path of dataset.yaml.
        models: folder of model weights.
        retry_failed: compute cells again that failed for good.
    """
    dataset = load_spec(Path(spec))
    started = datetime.now(UTC)
    context = RunContext(
        run_id=f"{started:%Y%m%d-%H%M%S}-{str(flow_run.id)[:8]}",
        started_at=started,
        spec=dataset,
        credentials=_credentials(dataset.credentials),
        models=models,
        retry_failed=retry_failed,
    )
    begin_run(context)
    try:
        yield context
    except BaseException as err:
        write_failed_summary(context, err)
        raise
    finally:
        end_run(context)


def _credentials(block: str | None) -> Credentials | None:
    if block is None:
        return None
    from blocks.resolve import resolve_credentials  # late: its AWS libraries take seconds

    return resolve_credentials(block)
