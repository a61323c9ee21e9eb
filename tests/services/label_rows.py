"""What a reader of labels gives, for tests: rows with their JSON parsed, and faults."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from trainset.metadata.base import Rejected
from trainset.metadata.records import Record, to_table

Rows = tuple[list[dict[str, Any]], list[Rejected]]


def label_rows(items: Iterable[Record | Rejected]) -> Rows:
    """Records, which must fit the schema, with ``attributes`` and ``geometry`` as values."""
    found = list(items)
    rows = [item for item in found if not isinstance(item, Rejected)]
    to_table(rows, source="x", stream="s")
    for row in rows:
        row["attributes"] = json.loads(row["attributes"] or "{}")
        row["geometry"] = json.loads(row["geometry"] or "null")
    return rows, [item for item in found if isinstance(item, Rejected)]
