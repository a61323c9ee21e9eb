"""The slim view of tables that diffs and merges compare: row fingerprints and cell fingerprints.

A computed column ``c`` is compared by ``c__src``, ``c__fn`` and ``c__err``, never by its value: an
embedding need not be read to know that it changed. All of it is numpy over the union of row ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainset.errors import InputError
from trainset.tables.base import Table

PARTS = ("__src", "__fn", "__err")
CONTENT = "sha256"  # the column that says which bytes a row's cells were computed from

EMPTY = pa.table({"row_id": pa.array([], pa.string()), "row_fp": pa.array([], pa.uint64())})

Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]


def computed_columns(names: Sequence[str]) -> list[str]:
    """Columns that have their ``__src``, ``__fn`` and ``__err`` beside them."""
    known = set(names)
    return [n for n in names if all(n + part in known for part in PARTS)]


def own_columns(names: Sequence[str]) -> list[str]:
    """The user's columns: neither computed nor kept for comparing rows."""
    computed = {part for column in computed_columns(names) for part in cell_parts(column)}
    return [n for n in names if n not in computed and n not in ("row_id", "row_fp")]


def cell_parts(column: str) -> list[str]:
    """The four columns that a computed column stands as."""
    return [column, *(column + part for part in PARTS)]


def slim_columns(names: Sequence[str]) -> list[str]:
    """The columns of the slim view among a table's columns. Raises InputError without keys."""
    if missing := {"row_id", "row_fp"} - set(names):
        raise InputError(
            f"the table has no column {', '.join(sorted(missing))}; rows are compared by it, "
            "build the table anew with 'python -m flows build-tables'"
        )
    cells = [column + part for column in computed_columns(names) for part in PARTS]
    return ["row_id", "row_fp", *([CONTENT] if CONTENT in names else []), *cells]


def slim(tables: Sequence[Table | None]) -> list[pa.Table]:
    """Read the slim views of tables that are to be compared; of no table, an empty one.

    Rows that all of them share are left out where the engine can tell without reading them.
    """
    return [reader.read_all() for reader in slim_readers(tables)]


def slim_readers(tables: Sequence[Table | None]) -> list[pa.RecordBatchReader]:
    """As ``slim``, batch by batch."""
    there = [table for table in tables if table is not None]
    names = [slim_columns(table.schema.names) for table in there]
    if len(there) == len(tables):
        return there[0].unlike(there[1:], list(dict.fromkeys(n for one in names for n in one)))
    views = iter([t.scan(columns) for t, columns in zip(there, names, strict=True)])
    return [EMPTY.to_reader() if table is None else next(views) for table in tables]


@dataclass
class Side:
    """One table aligned to the union of N row ids; codes are equal when values are, -1 is null.

    Attributes:
        present: (N,) the row exists.
        row: (N,) code of ``row_fp``.
        content: (N,) code of ``sha256``; of ``row_fp`` in tables without it.
        cells: per computed column (3, N) codes of source, function and error.
    """

    present: Mask
    row: Codes
    content: Codes
    cells: dict[str, Codes] = field(default_factory=dict)

    def same_cells(self, other: Side, column: str) -> Mask:
        """(N,) whether a computed column is the same on both sides."""
        same: Mask = (self.cells[column] == other.cells[column]).all(axis=0)
        return same

    def rank(self, column: str) -> Codes:
        """(N,) 0: never computed, 1: computed with an error, 2: computed."""
        _, function, error = self.cells[column]
        return np.where(function < 0, 0, np.where(error >= 0, 1, 2)).astype(np.int64)


def align(tables: Sequence[pa.Table]) -> tuple[pa.Array, list[Side]]:
    """Align slim views.

    Returns:
        The union of row ids (N strings, in order of first sight), and one ``Side`` a table. All
        sides have all computed columns; where a table lacks one, its cells are empty.
    """
    ids, places = _union([t["row_id"] for t in tables])
    names = list(dict.fromkeys(name for t in tables for name in t.column_names))
    codes = {name: _codes(name, tables, places, len(ids)) for name in names if name != "row_id"}
    by = CONTENT if CONTENT in names else "row_fp"
    columns = sorted(n.removesuffix("__fn") for n in names if n.endswith("__fn"))
    sides = []
    for n, place in enumerate(places):
        present = np.zeros(len(ids), dtype=bool)
        present[place] = True
        cells = {c: np.stack([codes[c + part][n] for part in PARTS]) for c in columns}
        sides.append(Side(present, codes["row_fp"][n], codes[by][n], cells))
    return ids, sides


def _union(keys: Sequence[pa.ChunkedArray]) -> tuple[pa.Array, list[Codes]]:
    coded = pc.dictionary_encode(_joined([k.cast(pa.string()) for k in keys]))
    places = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return coded.dictionary, list(np.split(places, np.cumsum([len(k) for k in keys])[:-1]))


def _codes(
    name: str, tables: Sequence[pa.Table], places: Sequence[Codes], count: int
) -> list[Codes]:
    """Codes of one column, shared by all tables, scattered to the union of ids."""
    columns = [t[name] if name in t.column_names else pa.nulls(t.num_rows) for t in tables]
    kind = next(t.schema.field(name).type for t in tables if name in t.column_names)
    coded = pc.dictionary_encode(_joined([c.cast(kind) for c in columns]))
    flat = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    parts = np.split(flat, np.cumsum([t.num_rows for t in tables])[:-1])
    found = []
    for part, place in zip(parts, places, strict=True):
        scattered = np.full(count, -1, dtype=np.int64)
        scattered[place] = part
        found.append(scattered)
    return found


def _joined(columns: Sequence[pa.ChunkedArray | pa.Array]) -> pa.Array:
    chunks = [c for column in columns for c in getattr(column, "chunks", [column])]
    kind = columns[0].type
    return pa.concat_arrays(chunks) if chunks else pa.array([], kind)
