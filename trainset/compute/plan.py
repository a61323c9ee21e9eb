"""Which cells are due: new rows, changed content, another function, errors to try again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
from pydantic import Field

from trainset.compute.base import Operator
from trainset.errors import InputError
from trainset.identity import hash64
from trainset.model import Frozen, Modality
from trainset.spec import ColumnSpec
from trainset.tables.base import Table
from trainset.tables.schema import computed_fields

Columns = Mapping[str, ColumnSpec]
Operators = Mapping[str, Operator]


class PartitionPlan(Frozen):
    """One fragment with work: how many cells of each column are due."""

    fragment: int
    due: dict[str, int]

    @property
    def cells(self) -> int:
        return sum(self.due.values())


class CellPlan(Frozen):
    """What a compute stage would do; partitions without work are not in it.

    ``seconds`` is a rough estimate of CPU seconds, without what the cache saves.
    """

    partitions: tuple[PartitionPlan, ...] = ()
    due: dict[str, int] = Field(default_factory=dict)
    seconds: float = 0.0

    @property
    def cells(self) -> int:
        return sum(self.due.values())


@dataclass(frozen=True)
class DueRow:
    """One medium of which cells are due; ``sha256`` is None until its bytes are first read."""

    row_id: str
    key: str
    uri: str
    version_id: str | None
    sha256: str | None
    mime: str
    modality: Modality
    size: int

    @property
    def content(self) -> str:
        """The content id: the sha256, else uri and version id."""
        return self.sha256 or f"{self.uri}\0{self.version_id or ''}"


def plan_cells(
    table: Table, columns: Columns, operators: Operators, *, retry_failed: bool = False
) -> CellPlan:
    """Find the due cells of every fragment; reads no media and changes nothing.

    A cell is due when its row is readable, of a modality the operator takes and within the
    column's ``where``, and its value was never computed, or from other content, or by another
    function, or failed with an error that may pass (with ``retry_failed``: any error).

    Raises:
        InputError: a ``where`` is no SQL over this table's columns; names the column.
    """
    partitions = []
    for fragment in table.fragments():
        due = {
            name: len(rows)
            for name, rows in due_rows(
                table, fragment, columns, operators, retry_failed=retry_failed
            ).items()
            if rows
        }
        if due:
            partitions.append(PartitionPlan(fragment=fragment, due=due))
    total: Counter[str] = Counter()
    for partition in partitions:
        total.update(partition.due)
    seconds = sum(operators[name].seconds_per_item * count for name, count in total.items())
    return CellPlan(partitions=tuple(partitions), due=dict(total), seconds=seconds)


def due_rows(
    table: Table, fragment: int, columns: Columns, operators: Operators, *, retry_failed: bool
) -> dict[str, list[DueRow]]:
    """The media of one fragment of which each column's cell is due."""
    return {
        name: list(_due_of_column(table, fragment, name, spec, operators[name], retry_failed))
        for name, spec in columns.items()
    }


def _due_of_column(
    table: Table,
    fragment: int,
    name: str,
    spec: ColumnSpec,
    operator: Operator,
    retry_failed: bool,
) -> Iterator[DueRow]:
    kinds = ", ".join(f"'{m}'" for m in sorted(operator.modalities))
    where = f"unreadable IS NULL AND uri IS NOT NULL AND modality IN ({kinds})"
    if spec.where:
        where += f" AND ({spec.where})"
    facts = list(DueRow.__dataclass_fields__)
    marks = [f"{name}__src", f"{name}__fn", f"{name}__err"]
    known = [mark for mark in marks if mark in table.schema.names]
    try:
        found = table.read_fragment(fragment, [*facts, *known], where=where)
    except InputError as err:
        if not spec.where:
            raise
        raise InputError(f"columns.{name}.where: {spec.where!r} cannot be used: {err}") from err
    fn_id = operator.function.fn_id
    for row in found.to_pylist():
        state = [row.get(mark) for mark in marks]
        if is_due(row["sha256"], *state, fn_id=fn_id, retry_failed=retry_failed):
            yield DueRow(**{fact: row[fact] for fact in facts})


def is_due(
    sha256: str | None,
    src: int | None,
    fn: str | None,
    err: str | None,
    *,
    fn_id: str,
    retry_failed: bool,
) -> bool:
    """Whether one cell must be computed; pure. Without a sha256 nothing was computed yet."""
    if sha256 is None or src != hash64(sha256) or fn != fn_id:
        return True
    return err is not None and (retry_failed or bool(json.loads(err).get("retryable")))


def add_computed_columns(table: Table, operators: Operators) -> None:
    """Add the four columns of each computed column that the table has not yet; metadata only.

    Raises:
        InputError: a column exists with another type (an embedding of another length).
    """
    fields: list[pa.Field] = []
    for name, operator in operators.items():
        fields += computed_fields(name, operator.output)
    table.add_columns(fields)
