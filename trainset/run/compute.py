"""Compute steps of a run: plan the due cells, compute a partition, make all cells visible."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trainset.compute.base import Operator
from trainset.compute.cache import open_cache
from trainset.compute.context import home_destination
from trainset.compute.engine import commit_partitions, compute_partition
from trainset.compute.functions import register_functions
from trainset.compute.plan import add_computed_columns, plan_cells
from trainset.compute.registry import build
from trainset.model import CellTotals
from trainset.run.context import Run, RunContext
from trainset.run.reports import CellOutcome, CellWork, StageReport


def plan_work(context: RunContext) -> list[CellWork]:
    """Add the spec's computed columns to the media table, and find the cells that are due."""
    run = Run(context)
    media = run.table("media")
    if media is None or not context.spec.columns:
        return []
    operators = _operators(run)
    add_computed_columns(media, operators)
    plan = plan_cells(media, context.spec.columns, operators, retry_failed=context.retry_failed)
    return [
        CellWork(fragment=p.fragment, number=number, of=len(plan.partitions), cells=p.cells)
        for number, p in enumerate(plan.partitions)
    ]


def compute_work(
    context: RunContext, work: CellWork, *, progress: Callable[[int], None] | None = None
) -> CellOutcome:
    """Compute the due cells of one partition; ``progress`` gets the number of cells done."""
    run = Run(context)
    media = run.table("media")
    assert media is not None, "a planned partition has a table"
    done = 0

    def count(cells: int) -> None:
        nonlocal done
        done += cells
        if progress is not None:
            progress(done)

    with open_cache(run.home) as cache:
        result = compute_partition(
            media,
            work.fragment,
            context.spec.columns,
            _operators(run),
            home=run.home,
            cache=cache,
            retry_failed=context.retry_failed,
            progress=count,
        )
    return CellOutcome(token=result.token, totals=result.totals, label=work.label)


def commit_work(context: RunContext, outcomes: Sequence[CellOutcome]) -> StageReport:
    """Make the cells of all partitions visible, register their functions, build due indices."""
    run = Run(context)
    media = run.table("media")
    if media is not None and outcomes:
        commit_partitions(media, [outcome.token for outcome in outcomes])
        register_functions(run.workspace, _operators(run))
        for name, column in context.spec.columns.items():
            if column.index is not None:
                media.ensure_index(name, column.index)
    totals = sum((outcome.totals for outcome in outcomes), CellTotals())
    return StageReport(cells=totals, ran=frozenset({"compute"}))


def _operators(run: Run) -> dict[str, Operator]:
    put = home_destination(run.home)
    return {
        name: build(name, column, models=run.context.models, put=put)
        for name, column in run.spec.columns.items()
    }
