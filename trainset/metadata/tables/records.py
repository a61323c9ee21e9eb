"""Rows of a table as label records: by the names and values of its columns, as in files."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.layout import find_layout
from trainset.metadata.records import RECORDS, NameRecords, record, to_table
from trainset.metadata.shapes import label_rows
from trainset.metadata.store import CommitFiles, Manifest, folder_of
from trainset.metadata.tables.parts import read_rows


def records_of(files: CommitFiles, source: str, stream: str, manifest: Manifest) -> pa.Table:
    """Records of one table, in the schema ``RECORDS``; none when no column names a medium.

    A row that is no good label becomes a record without a medium that says why: it shows among the
    orphans instead of being lost.
    """
    facts = manifest.table
    assert facts is not None
    rows: list[dict[str, Any]] = []
    for part in manifest.files:
        for table in read_rows(files.fetch(folder_of(source, stream) + part.path), facts.columns):
            rows += [{k: _plain(v) for k, v in row.items()} for row in table.to_pylist()]
    if not rows:
        return RECORDS.empty_table()
    try:
        layout = find_layout(rows, media=facts.media_column, place=f"{source}/{stream}")
    except InputError:
        return RECORDS.empty_table()
    if len(facts.key) == 1 and facts.mode in ("full-overwrite", "incremental-upsert"):
        layout = replace(layout, record_id=facts.key[0])
    names = NameRecords()
    plain = [(f"row {i}", row) for i, row in enumerate(rows)]
    found = []
    for item in label_rows(plain, layout, stream=stream):
        if isinstance(item, Rejected):
            why = {"reason": item.reason, "row": item.original}
            item = names.name(record(None, "", "record", attributes=why))
        found.append(item)
    return to_table(found, source=source, stream=stream)


def _plain(value: Any) -> Any:
    """A cell as JSON has it: times in ISO 8601, bytes in hex, decimals as numbers or text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
