"""Fingerprints of a table's rows, hashed again from their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from trainset.identity import row_fingerprint
from trainset.tables.base import Table
from trainset.tables.row_hash import row_fingerprints
from trainset.tables.schema import FINGERPRINTS, is_computed_part

_NAMED = ("key", "source", "stream", "record_id")  # what people call a row by


class RowsChecked(NamedTuple):
    """One batch of rows: how many, and those whose values are not what their ``row_fp`` says."""

    rows: int
    wrong: tuple[str, ...]


def fingerprint_columns(name: str, schema: pa.Schema) -> Sequence[str] | None:
    """What the fingerprints of a table are made of; None: an older release made them of other
    columns than this one would."""
    computed = {n.removesuffix("__fn") for n in schema.names if n.endswith("__fn")}
    own = [n for n in schema.names if not is_computed_part(n) and n not in computed]
    columns = FINGERPRINTS.get(name, tuple(n for n in own if n not in ("row_id", "row_fp")))
    return columns if set(columns) <= set(schema.names) else None


def check_rows(table: Table, columns: Sequence[str]) -> Iterator[RowsChecked]:
    """Hash every row again, batch by batch.

    Args:
        columns: of the fingerprint.
    """
    names = [n for n in _NAMED if n in table.schema.names]
    for batch in table.scan(list(dict.fromkeys(["row_id", "row_fp", *names, *columns]))):
        rows = pa.Table.from_batches([batch])
        differs = pc.not_equal(rows["row_fp"], _hash(rows, columns)).fill_null(True)
        wrong = rows.filter(differs).select(["row_id", *names]).to_pylist()
        yield RowsChecked(rows.num_rows, tuple(_called(row) for row in wrong))


def _hash(rows: pa.Table, columns: Sequence[str]) -> pa.Array:
    try:
        return row_fingerprints(rows, columns)
    except TypeError:  # a time, a list: written value by value
        plain = rows.select(list(columns)).to_pylist()
        return pa.array([row_fingerprint(row, columns) for row in plain], pa.uint64())


def _called(row: dict[str, str]) -> str:
    parts = [row[name] for name in _NAMED[1:] if row.get(name)]
    return row.get("key") or "/".join(parts) or row["row_id"]
