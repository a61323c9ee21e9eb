"""Hugging Face metadata files as records: file_name columns, objects, all three encodings."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainset.errors import InputError
from trainset.metadata.base import Rejected
from trainset.metadata.labels.hf_folder import read_hf_folder

OBJECTS = {"bbox": [[1, 2, 3, 4], [5, 6, 70, 8]], "categories": ["cat", "dog"]}


def _read(body: bytes | str) -> tuple[list[dict[str, Any]], list[Rejected]]:
    data = body.encode() if isinstance(body, str) else body
    items = list(read_hf_folder(data, stream="s", place="metadata.x"))
    rows = [item for item in items if not isinstance(item, Rejected)]
    for row in rows:
        row["attributes"] = json.loads(row["attributes"] or "{}")
    return rows, [item for item in items if isinstance(item, Rejected)]


def _lines(*rows: Any) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    body = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), body)
    return body.getvalue()


def test_csv_jsonl_and_parquet_say_the_same() -> None:
    rows = [{"file_name": "a/1.png", "text": "a cat"}, {"file_name": "2.png", "text": "a dog"}]
    csv = "file_name,text\na/1.png,a cat\n2.png,a dog\n"
    found = [_read(body) for body in (csv, _lines(*rows), _parquet(rows))]
    assert found[0] == found[1] == found[2]
    labels, none = found[0]
    assert none == []
    assert [(r["media_ref"], r["kind"], r["text"]) for r in labels] == [
        ("a/1.png", "caption", "a cat"),
        ("2.png", "caption", "a dog"),
    ]


def test_objects_as_a_dict_of_lists_are_a_record_each_and_none_is_empty() -> None:
    nothing = {"bbox": [], "categories": []}
    rows = [{"file_name": "1.png", "objects": OBJECTS}, {"file_name": "2.png", "objects": nothing}]
    for body in (_lines(*rows).encode(), _parquet(rows)):
        labels, none = _read(body)
        assert none == []
        assert [(r["media_ref"], r["kind"], r["class"], r["bbox"]) for r in labels] == [
            ("1.png", "box", "cat", [1, 2, 3, 4]),
            ("1.png", "box", "dog", [5, 6, 70, 8]),
            ("2.png", "empty", None, None),
        ]


def test_every_file_name_column_gives_its_medium_the_labels() -> None:
    rows = [
        {"left_file_name": "l.png", "right_file_name": "r.png", "label": "same", "id": 7},
        {"left_file_name": "l2.png", "right_file_name": None, "label": "other", "id": 8},
        {"left_file_name": None, "right_file_name": None, "label": "lost", "id": 9},
    ]
    labels, (fault,) = _read(_lines(*rows))
    assert [(r["media_ref"], r["class"]) for r in labels] == [
        ("l.png", "same"),
        ("l2.png", "other"),
        ("r.png", "same"),
    ]
    assert len({r["record_id"] for r in labels}) == 3
    assert fault.kind == "no-media-ref"
    assert json.loads(fault.original)["label"] == "lost"


def test_a_list_of_file_names_gives_each_the_labels() -> None:
    labels, none = _read(_lines({"file_names": ["1.png", "2.png"], "text": "two cats"}))
    assert none == []
    assert [(r["media_ref"], r["text"]) for r in labels] == [
        ("1.png", "two cats"),
        ("2.png", "two cats"),
    ]


def test_a_bad_row_is_told_once_however_many_columns_there_are() -> None:
    csv = "a_file_name,b_file_name,text\n1.png,2.png,hi\nshort\n"
    labels, (fault,) = _read(csv)
    assert len(labels) == 2
    assert (fault.kind, fault.original) == ("bad-row", "short")


def test_times_and_bytes_of_parquet_are_kept_as_text() -> None:
    taken = datetime(2026, 1, 2, tzinfo=UTC)
    (row,), none = _read(_parquet([{"file_name": "1.png", "taken": taken, "raw": b"\x01\xff"}]))
    assert none == []
    assert row["attributes"] == {"taken": "2026-01-02 00:00:00+00:00", "raw": "01ff"}


@pytest.mark.parametrize(
    "body", [b"name,text\na.png,hi\n", b'{"image": "a.png"}', b"PAR1 and no more"]
)
def test_a_file_that_is_no_such_metadata_is_named_with_the_next_step(body: bytes) -> None:
    with pytest.raises(InputError, match=r"metadata\.x"):
        _read(body)
