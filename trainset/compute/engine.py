"""Computing the due cells of one table fragment, batch by batch, each batch kept as it is done."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from trainset.compute.base import ItemError, Operator
from trainset.compute.cache import CellCache
from trainset.compute.cells import Filled, stage_cells
from trainset.compute.context import processors
from trainset.compute.fetch import Found
from trainset.compute.items import Prepared, compute_batch, prepare_item
from trainset.compute.plan import Columns, DueRow, Operators, due_rows
from trainset.home import Home
from trainset.model import CellTotals, Frozen, LeftOut
from trainset.tables.base import Table

Progress = Callable[[int], None]
Work = list[tuple[DueRow, tuple[str, ...]]]  # one content each, and the columns it misses
Inputs = list[tuple[str, dict[str, Any]]]  # content id, prepared input by column


class PartitionResult(Frozen):
    """What one partition did. ``token`` goes to ``commit_partitions``; None: nothing to write."""

    token: str | None = None
    totals: CellTotals = CellTotals()
    errors: tuple[LeftOut, ...] = ()


def compute_partition(
    table: Table,
    fragment: int,
    columns: Columns,
    operators: Operators,
    *,
    home: Home,
    cache: CellCache,
    threads: int | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> PartitionResult:
    """Compute the due cells of one fragment and stage them beside the table.

    Each medium is read and decoded once for all operators that are due; a content that comes in
    several rows is computed once. Items are prepared on ``threads`` threads while the batch before
    is computed. Every finished batch is in the cache before the next begins, so a killed run loses
    the batch in flight and the one being prepared. The table needs its computed columns
    (``add_computed_columns``).

    A row without sha256 gets it from this read, with the facts it lacks, in the same fill as its
    cells; its ``row_fp`` changes by that, its cells are those of the sha256.

    Args:
        columns, operators: by column name; operators as ``registry.build`` made them.
        threads: None: one a processor.
        progress: called with the number of cells that are newly done.
    Raises:
        InputError: an operator cannot be set up (weights, packages). What is wrong with one medium
            is no error here: its cell is null with the reason, and it is in ``errors``.
    """
    due = due_rows(table, fragment, columns, operators, retry_failed=retry_failed)
    due = {name: rows for name, rows in due.items() if rows}
    tell = progress or (lambda cells: None)
    filled, work, cached = _from_cache(due, operators, cache)
    tell(cached)
    for name in sorted({name for _, names in work for name in names}):
        operators[name].setup()
    fresh: set[tuple[str, str]] = set()  # (content id, column) of what was computed here
    read: dict[str, Found] = {}  # by the content id of rows whose sha256 was not known
    for batch in _batches(work, operators, home, threads or processors()):
        read |= {row.content: item.found for row, item in batch if item.found is not None}
        inputs, known = _settle(batch, filled, operators, cache)
        done = _compute(inputs, operators)
        cache.put((operators[name].function.fn_id, _values(cells)) for name, cells in done.items())
        for name, cells in done.items():
            filled[name].update(cells)
            fresh |= {(content, name) for content in cells}
        tell(known + sum(len(cells) for cells in done.values()))
    due, found = _found_out(due, filled, read)
    totals, errors = _count(due, filled, fresh)
    token = stage_cells(table, fragment, due, operators, filled, found) if due or found else None
    return PartitionResult(token=token, totals=totals, errors=errors)


def commit_partitions(table: Table, tokens: Sequence[str | None]) -> None:
    """Make the staged cells of all partitions visible at once."""
    staged = [token for token in tokens if token is not None]
    if staged:
        table.commit_fills(staged)


def _from_cache(
    due: Mapping[str, list[DueRow]], operators: Operators, cache: CellCache
) -> tuple[Filled, Work, int]:
    """Values the cache has, the work that is left, and how many cells the cache filled."""
    filled: Filled = {}
    missing: dict[str, tuple[DueRow, list[str]]] = {}
    cached = 0
    for name, rows in due.items():
        operator = operators[name]
        wanted = sorted({row.sha256 for row in rows if row.sha256 is not None})
        filled[name] = dict(cache.get(operator.function.fn_id, wanted, operator.output))
        for row in rows:
            if row.content in filled[name]:
                cached += 1
            else:
                names = missing.setdefault(row.content, (row, []))[1]
                if name not in names:
                    names.append(name)
    return filled, [(row, tuple(names)) for row, names in missing.values()], cached


def _settle(
    batch: Sequence[tuple[DueRow, Prepared]], filled: Filled, operators: Operators, cache: CellCache
) -> tuple[Inputs, int]:
    """What is left to compute of a batch, by content id; cells of newly known content may be there.

    Returns:
        (content id, input by column) of each content, and how many cells were filled without.
    """
    inputs: dict[str, dict[str, Any]] = {}
    known = 0
    for row, item in batch:
        content = row.content if item.found is None else item.found.sha256
        for name, value in item.inputs.items():
            if item.found is not None and content not in filled[name]:
                operator = operators[name]
                filled[name] |= cache.get(operator.function.fn_id, [content], operator.output)
            if content in filled[name] or name in inputs.get(content, ()):
                known += 1
            else:
                inputs.setdefault(content, {})[name] = value
    return list(inputs.items()), known


def _found_out(
    due: Mapping[str, list[DueRow]], filled: Filled, read: Mapping[str, Found]
) -> tuple[dict[str, list[DueRow]], dict[str, Found]]:
    """The due rows with the sha256 that was found, and what was found by row id.

    Rows that turned out to be broken or of another kind are no longer due.
    """
    found: dict[str, Found] = {}
    left: dict[str, list[DueRow]] = {}
    for name, rows in due.items():
        for row in rows:
            if (new := read.get(row.content)) is not None:
                found[row.row_id] = new
                row = replace(row, sha256=new.sha256)
            if row.content in filled[name]:
                left.setdefault(name, []).append(row)
    return left, found


def _batches(
    work: Work, operators: Operators, home: Home, threads: int
) -> Iterator[list[tuple[DueRow, Prepared]]]:
    """Prepared items, one batch being prepared while one is computed."""
    if not work:
        return
    size = min(operators[name].batch_size for _, names in work for name in names)
    pending: deque[tuple[DueRow, Future[Prepared]]] = deque()
    items = iter(work)
    with (
        tempfile.TemporaryDirectory(dir=home.state, prefix="compute-") as scratch,
        ThreadPoolExecutor(threads, thread_name_prefix="prepare") as pool,
    ):

        def submit(count: int) -> None:
            for row, names in (pair for _, pair in zip(range(count), items, strict=False)):
                due: dict[str, Operator] = {name: operators[name] for name in names}
                job = pool.submit(prepare_item, home, row, due, Path(scratch))
                pending.append((row, job))

        try:
            submit(size)
            while pending:
                here = [pending.popleft() for _ in range(len(pending))]
                submit(size)
                yield [(row, job.result()) for row, job in here]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _compute(batch: Inputs, operators: Operators) -> Filled:
    """Cells of one batch by column and content id: one-element arrays, or ItemErrors."""
    done: Filled = {}
    for name in sorted({name for _, inputs in batch for name in inputs}):
        with_it = [(content, inputs[name]) for content, inputs in batch if name in inputs]
        values = compute_batch(operators[name], [item for _, item in with_it])
        done[name] = {
            content: value if isinstance(value, ItemError) else _array(value, operators[name])
            for (content, _), value in zip(with_it, values, strict=True)
        }
    return done


def _array(value: Any, operator: Operator) -> pa.Array | ItemError:
    try:
        return pa.array([value], type=operator.output)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, OverflowError) as err:
        return ItemError(kind="op", message=f"the value is no {operator.output}: {err}"[:500])


def _values(cells: Mapping[str, Any]) -> dict[str, pa.Array]:
    return {content: c for content, c in cells.items() if not isinstance(c, ItemError)}


def _count(
    due: Mapping[str, list[DueRow]], filled: Filled, fresh: set[tuple[str, str]]
) -> tuple[CellTotals, tuple[LeftOut, ...]]:
    """Totals by cell: the first row of a content was computed, its copies come from that."""
    fresh = set(fresh)
    computed = cached = failed = 0
    errors = []
    for name, rows in due.items():
        for row in rows:
            cell = filled[name][row.content]
            if isinstance(cell, ItemError):
                failed += 1
                errors.append(
                    LeftOut(
                        key=f"{row.key}#{name}",
                        stage="compute",
                        kind=cell.kind,
                        reason=cell.message,
                    )
                )
            elif (row.content, name) in fresh:
                computed += 1
                fresh.discard((row.content, name))
            else:
                cached += 1
    return CellTotals(computed=computed, cached=cached, failed=failed), tuple(errors)
