"""Provenance: every file's story, in a chain that tells when it was touched."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainset.errors import InputError
from trainset.transfer.base import Outcome, SourceFile, deferred, failed
from trainset.transfer.provenance import sha256_sums, verify_events, write_events

AT = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


def file(name: str) -> SourceFile:
    return SourceFile(
        key=f"cam/{name}",
        source="cam",
        path=name,
        uri=f"/src/{name}",
        size=3,
        version="1",
        modified=AT,
    )


def arrived(name: str, status: str) -> Outcome:
    moved = 3 if status == "sent" else 0
    return Outcome.model_validate(
        {"file": file(name), "status": status, "sha256": "ab", "uri": "media/ab/ab"}
        | {"moved_bytes": moved}
    )


OUTCOMES = [
    arrived("a", "sent"),
    arrived("b", "duplicate"),
    arrived("c", "skipped"),
    deferred(file("d"), "too-young", "later"),
    failed(file("ü"), "access-denied", "no"),
]


def test_each_outcome_has_its_events() -> None:
    part = write_events(OUTCOMES, run_id="r1", at=AT)
    rows = pq.read_table(BytesIO(part.data)).to_pylist()
    assert [r["type"] for r in rows if r["type"] not in ("RECEIVE", "FETCH")] == [
        *("SEND", "DUPLICATE", "SKIP", "DROP", "DEADLETTER")
    ]
    assert [r["seq"] for r in rows] == list(range(len(rows)))
    assert sum(r["bytes"] or 0 for r in rows) == 3
    assert rows[-1]["reason"] == "no"
    assert rows[0]["time"] == AT


def test_parts_chain_and_the_head_is_verified() -> None:
    first = write_events(OUTCOMES[:2], run_id="r1", at=AT)
    second = write_events(OUTCOMES[2:], run_id="r1", at=AT, after=first)
    assert (first.name, second.name) == ("events-00000.parquet", "events-00001.parquet")
    assert verify_events([first.data, second.data], "r1") == second.head
    assert write_events(OUTCOMES[:2], run_id="r1", at=AT) == first
    sums = sha256_sums([first, second]).decode().splitlines()
    assert sums[1] == f"{hashlib.sha256(second.data).hexdigest()}  events-00001.parquet"


def test_a_changed_event_is_found() -> None:
    first = write_events(OUTCOMES[:2], run_id="r1", at=AT)
    second = write_events(OUTCOMES[2:], run_id="r1", at=AT, after=first)
    table = pq.read_table(BytesIO(second.data))
    for forged in (
        pa.Table.from_pylist(
            [{**r, "reason": "fine"} for r in table.to_pylist()], schema=table.schema
        ),
        table.slice(1),
        table.take([1, 0, *range(2, table.num_rows)]),
    ):
        sink = BytesIO()
        pq.write_table(forged, sink)
        with pytest.raises(InputError, match="event"):
            verify_events([first.data, sink.getvalue()], "r1")
    with pytest.raises(InputError):
        verify_events([second.data], "r1")
    with pytest.raises(InputError):
        verify_events([first.data], "r2")
