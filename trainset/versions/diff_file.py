"""A diff as lines, one a value that differs, and as a Parquet file of them, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainset.stores.atomic import replacing
from trainset.versions.diffrows import RowChange

SCHEMA = pa.schema(
    [(n, pa.string()) for n in ("table", "how", "row_id", "key", "column", "before", "after")]
)
_LINES = 50_000  # written at once


def change_lines(table: str, changes: Iterable[RowChange]) -> Iterator[dict[str, Any]]:
    """A line a column that differs, as ``SCHEMA`` names them; values are as in the table.

    Of a row that came or went, and of one that differs in no column of its own, there is one line
    without a column.
    """
    for change in changes:
        row = {"table": table, "how": change.how, "row_id": change.row_id, "key": change.key}
        for column, (before, after) in change.columns.items():
            yield row | {"column": column, "before": before, "after": after}
        if not change.columns:
            yield row | {"column": None, "before": None, "after": None}


def write_parquet(lines: Iterable[dict[str, Any]], path: Path) -> int:
    """Write lines to a file that appears whole or not at all; values as JSON, null where absent.

    Returns:
        How many lines.
    """
    lines, count = iter(lines), 0
    with replacing(path) as target, pq.ParquetWriter(target, SCHEMA, compression="zstd") as writer:
        while some := list(islice(lines, _LINES)):
            rows = [r | {side: _json(r[side]) for side in ("before", "after")} for r in some]
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
            count += len(rows)
    return count


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
