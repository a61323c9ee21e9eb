"""Provenance: every file's story, in a chain that tells when it was touched."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainset.errors import InputError, StoreReply
from trainset.identity import row_id
from trainset.model import MediaFacts
from trainset.transfer.base import Origin, Outcome, SourceFile, deferred, failed
from trainset.transfer.provenance import (
    SCHEMA,
    Event,
    EventFile,
    EventWriter,
    read_events,
    sha256_sums,
    verify_events,
    write_events,
)
from trainset.transfer.provenance.schema import event_hash
from trainset.transfer.story import build_story

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


FIXTURES = Path(__file__).parents[1] / "fixtures"
HEADS = {  # run id and head of the stored logs, by schema
    "provenance-schema-1": (
        "r1",
        "bb48ecd213c951f0cfc8058e4434fe89600bd9d1edc08b8e5e98c93e29e43f13",
    ),
    "provenance-schema-2": (
        "r2",
        "e8d1e67765e3ea7014a7b9f9ef4b95390db005f019b6d665626951390a3314e3",
    ),
}


@pytest.mark.parametrize("stored", HEADS)
def test_old_events_still_verify_and_read_as_new_ones(stored: str) -> None:
    run_id, head = HEADS[stored]
    parts = sorted((FIXTURES / stored).glob("*.parquet"))
    assert verify_events(parts, run_id) == head
    rows = [row for part in parts for row in read_events(part, ["cam/a", "cam/ü"])]
    assert list(rows[0]) == SCHEMA.names
    assert {row["file_id"] for row in rows} == {row_id("cam/a"), row_id("cam/ü")}
    assert rows[0]["event_id"] == f"{run_id}-0"
    assert {row["http_status"] for row in rows} == {None}
    assert len(parts) > 1
    assert rows[-1]["kind"] == "access-denied"


ME = Origin(flow_run_id="f", host="here", worker="1", code_version="1", config_hash="c")
SENDER = ME.model_copy(update={"task_run_id": "t", "batch_id": "1 of 2", "host": "there"})


def told(*outcomes: Outcome, **more: Any) -> list[dict[str, Any]]:
    """Events of some outcomes, written and read again."""
    parts: list[EventFile] = []
    writer = EventWriter("r1", parts.append, at=AT, origin=ME)
    writer.add(outcomes, origin=SENDER, **more)
    writer.add_events([Event("VERIFY", "cam/late", "/src/late", AT)])
    log = writer.close()
    assert verify_events([part.data for part in parts], "r1") == log.head
    return [
        r for p in parts for r in read_events(p.data, [*(o.file.key for o in outcomes), "cam/late"])
    ]


def test_an_event_says_who_did_it_and_when_in_its_name() -> None:
    rows = told(arrived("a", "sent"))
    assert [(r["task_run_id"], r["batch_id"], r["host"]) for r in rows] == [
        *[("t", "1 of 2", "there")] * 3,
        (None, None, "here"),
    ]
    assert {r["flow_run_id"] for r in rows} == {"f"}
    ids = [uuid.UUID(r["event_id"]) for r in rows]
    assert {(i.version, i.variant) for i in ids} == {(7, uuid.RFC_4122)}
    assert len(set(ids)) == len(ids)
    assert {i.int >> 80 for i in ids} == {int(AT.timestamp() * 1000)}
    assert ids == sorted(ids)


def test_the_end_of_a_file_has_the_reply_of_the_store_and_its_lock() -> None:
    until = AT + timedelta(days=7)
    sent = arrived("a", "sent").model_copy(
        update={
            "reply": StoreReply(200, request_id="tx1"),
            "retention_until": until,
            "facts": MediaFacts(mime="image/png", modality="image", width=6),
        }
    )
    refused = failed(file("b"), "access-denied", "no").model_copy(
        update={"reply": StoreReply(403, "AccessDenied", "tx2")}
    )
    rows = told(sent, refused, deferred(file("c"), "transient", "later"))
    ends = {r["type"]: r for r in rows}
    send, dead, drop = ends["SEND"], ends["DEADLETTER"], ends["DROP"]
    assert (send["http_status"], send["error_code"], send["request_id"]) == (200, None, "tx1")
    assert send["retention_until"] == until
    assert (send["sha256_before"], send["sha256"]) == ("ab", "ab")
    assert ends["FETCH"]["sha256_before"] is None
    assert ends["FETCH"]["attributes_changed"] == {
        "mime": "image/png",
        "modality": "image",
        "width": "6",
    }
    assert (dead["http_status"], dead["error_code"], dead["request_id"]) == (
        *(403, "AccessDenied"),
        "tx2",
    )
    assert (drop["http_status"], drop["request_id"]) == (None, None)
    assert "the store answered 403 AccessDenied; request tx2" in build_story(rows)[-4].text


def test_a_duplicate_names_the_file_that_brought_its_bytes_first() -> None:
    rows = told(arrived("b", "duplicate"), parents={"cam/b": row_id("cam/a")})
    (end,) = (r for r in rows if r["type"] == "DUPLICATE")
    assert (end["parent_ids"], end["child_ids"]) == ([row_id("cam/a")], [row_id("cam/b")])
    assert {r["file_id"] for r in rows if r["type"] != "VERIFY"} == {row_id("cam/b")}


@example(["\x7f", "\x00\b\f\n\x1f", "\udcff", "\u2028"])
@given(st.lists(st.text(), max_size=4))
def test_the_hash_is_that_of_ascii_json(texts: list[str]) -> None:
    values = (1, None, texts, (("a", "b"),), "".join(texts))
    plain = json.dumps(values, separators=(",", ":")).encode("ascii")
    assert event_hash(values) == hashlib.sha256(plain).hexdigest()
