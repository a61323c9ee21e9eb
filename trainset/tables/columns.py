"""What the columns of a table are and how far the computed ones are filled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import pyarrow as pa

from trainset.compute.base import Function
from trainset.identity import hash64
from trainset.model import Frozen
from trainset.tables.base import Table
from trainset.tables.schema import is_computed_part

Functions = Callable[[str], Function | None]


class ColumnInfo(Frozen):
    """One column. The counts are of cells, and None where the column is not computed.

    ``stale`` cells were made from other bytes than the row's, or by another function than most
    cells of the column; a run computes them again.
    """

    name: str
    type: str
    operator: str | None = None
    model: str | None = None
    filled: int | None = None
    failed: int | None = None
    stale: int | None = None


class Columns(tuple[ColumnInfo, ...]):
    """Column facts; prints as a small table."""

    __slots__ = ()

    def __repr__(self) -> str:
        heads = list(ColumnInfo.model_fields)
        rows = [[_cell(getattr(info, head)) for head in heads] for info in self]
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        lines = [heads, *rows]
        return "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )


def describe_columns(table: Table, functions: Functions) -> Columns:
    """All columns but the bookkeeping ones (``c__src``, ``c__fn``, ``c__err``).

    Args:
        functions: the registry: fn_id to function, or None where it is not registered.
    """
    names = [name for name in table.schema.names if not is_computed_part(name)]
    return Columns(_describe(table, table.schema.field(name), functions) for name in names)


def computed_functions(table: Table, column: str) -> Counter[str]:
    """How many cells of a computed column each fn_id made."""
    values = table.scan([f"{column}__fn"]).read_all()[0].to_pylist()
    return Counter(value for value in values if value is not None)


def _describe(table: Table, field: pa.Field, functions: Functions) -> ColumnInfo:
    name, type_ = field.name, _type(field.type)
    if f"{name}__fn" not in table.schema.names:
        return ColumnInfo(name=name, type=type_)
    made = computed_functions(table, name).most_common(1)
    current = made[0][0] if made else None
    function = functions(current) if current else None
    return ColumnInfo(
        name=name,
        type=type_,
        operator=function.operator if function else None,
        model=_model(function.params) if function else None,
        filled=table.count(f"`{name}` is not null"),
        failed=table.count(f"`{name}__err` is not null"),
        stale=_stale(table, name, current),
    )


def _stale(table: Table, name: str, current: str | None) -> int:
    content = "sha256" in table.schema.names
    columns = [f"{name}__fn", f"{name}__src", *(["sha256"] if content else [])]
    stale = 0
    for batch in table.scan(columns, where=f"`{name}__fn` is not null"):
        shas = batch.column(2).to_pylist() if content else [None] * batch.num_rows
        for fn, src, sha in zip(
            batch.column(0).to_pylist(), batch.column(1).to_pylist(), shas, strict=True
        ):
            stale += fn != current or (sha is not None and src != hash64(sha))
    return stale


def _model(params: Mapping[str, object]) -> str | None:
    parts = [str(params[key]) for key in ("model", "weights") if params.get(key)]
    return "/".join(parts) or None


def _type(type_: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(type_):
        return f"{_type(type_.value_type)}[{type_.list_size}]"
    return {"halffloat": "float16", "float": "float32"}.get(str(type_), str(type_))


def _cell(value: object) -> str:
    return "" if value is None else str(value)
