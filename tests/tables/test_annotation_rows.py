"""The annotations table follows the sync."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainset.identity import row_id
from trainset.tables.annotations import replace_rows
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.schema import ANNOTATIONS, finish_rows


def label(number: int, class_: str, **more: Any) -> dict[str, object]:
    facts = {"source": "boxes", "stream": "a.json", "record_id": str(number), "class": class_}
    return {"row_id": row_id(f"boxes/a.json/{number}"), **facts, **more}


def test_replace_writes_what_differs_and_nothing_else(tmp_path: Path) -> None:
    table = LanceTableStore().create(TableLocation(str(tmp_path / "annotations")), ANNOTATIONS)
    first = [label(1, "car", bbox=[1.0, 2.0, 3.0, 4.0]), label(2, "bus"), label(3, "cat")]
    counts = replace_rows(table, finish_rows("annotations", first))
    assert (counts.inserted, counts.changed) == (3, 3)
    version = table.version
    assert replace_rows(table, finish_rows("annotations", first)).changed == 0
    assert table.version == version
    second = [label(1, "car", bbox=[1.0, 2.0, 3.0, 5.0]), label(2, "bus"), label(4, "dog")]
    counts = replace_rows(table, finish_rows("annotations", second))
    assert (counts.inserted, counts.updated, counts.unchanged, counts.deleted) == (1, 1, 1, 1)
    stored = {r["record_id"]: r for r in table.scan().read_all().to_pylist()}
    assert {r: v["class"] for r, v in stored.items()} == {"1": "car", "2": "bus", "4": "dog"}
    assert stored["1"]["bbox"][3] == 5.0
    assert replace_rows(table, finish_rows("annotations", [])).deleted == 3
    assert table.count() == 0
