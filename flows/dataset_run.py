"""``dataset_run``: the run branch of a flow run, from its beginning to its summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from prefect.runtime import flow_run

from flows.approval import ask_if_it_waits, asked_before
from flows.resolved import credentials_of, destinations_of, ledger_url_of, placed
from trainset.errors import InputError
from trainset.run.context import ReplayStage, Run, RunContext
from trainset.run.local import new_context, running
from trainset.run.waiting import Waiting, as_waited, choose_waiting
from trainset.spec import load_spec
from trainset.transfer.selection import Only


@contextmanager
def dataset_run(
    spec: str,
    *,
    models: Path | None = None,
    retry_failed: bool = False,
    retry_dead: bool = False,
    retry_where: str | None = None,
    only: Only | None = None,
    replay: ReplayStage | None = None,
    prefer: Literal["ours", "theirs"] | None = None,
) -> Iterator[RunContext]:
    """Begin a run on a branch named after this flow run, and end it, whatever happens.

    Inside the context the work goes to the run branch and main is untouched; ``stages.publish``
    moves main. A failure keeps the branch for a look and leaves a summary that says so; after a
    crash the next run starts from the ledger and the compute cache. A run that waits for approval
    suspends its flow run; when it is resumed, ``stages.decided`` has the answer.

    Args:
        spec: path of dataset.yaml.
        models: folder of model weights.
        retry_failed: compute cells again that failed for good.
        retry_dead: send files again that earlier runs gave up.
        retry_where, only, replay: as ``choose_files`` gives them.
        prefer: whose value counts where main moved and both changed it: main's (ours), the run's.
    """
    context = _context(
        spec,
        models=models,
        retry_failed=retry_failed,
        retry_dead=retry_dead,
        retry_where=retry_where,
        only=only,
        replay=replay,
        prefer=prefer,
    )
    if (waiting := asked_before(context)) is not None:
        context = as_waited(context, waiting)
    with running(context):
        yield context
    ask_if_it_waits(context)


@contextmanager
def waiting_run(
    spec: str, run_id: str | None, *, prefer: Literal["ours", "theirs"] | None
) -> Iterator[tuple[RunContext, Waiting]]:
    """Take up a run that waits for approval, to do what somebody decided; see ``dataset_run``."""
    context = _context(spec, prefer=prefer)
    waiting = choose_waiting(Run(context).home, run_id)
    context = as_waited(context, waiting)
    with running(context):
        yield context, waiting


def _context(spec: str, **options: Any) -> RunContext:
    dataset, lakefs = placed(load_spec(Path(spec)))
    return new_context(
        dataset,
        run_id=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{str(flow_run.id)[:8]}",
        credentials=credentials_of(dataset),
        destinations=destinations_of(dataset),
        lakefs=lakefs,
        ledger_url=ledger_url_of(dataset),
        flow_run_id=str(flow_run.id),
        **options,
    )


def choose_files(
    *,
    retry_dead: bool,
    where: str | None,
    manifest: Path | None,
    replay: ReplayStage | None,
    files: Sequence[str] = (),
) -> dict[str, Any]:
    """What a run is about, as arguments of ``dataset_run``.

    Raises:
        InputError: what is asked for does not go together; says what is missing.
    """
    if where is not None and retry_dead == (replay is not None):
        raise InputError(
            "where chooses among dead letters or among the files of a replay; say which: "
            "--retry-dead, or `replay --from`"
        )
    if replay is not None and where is None and manifest is None and not files:
        raise InputError(
            "a replay of which files? Name them by --files (keys or source uris), --from-manifest "
            "FILE or --where CONDITION (--where true: all)"
        )
    only = Only(manifest=manifest, files=tuple(files), where=where if replay else None)
    return {
        "retry_where": where if retry_dead else None,
        "only": None if only == Only() else only,
        "replay": replay,
    }
