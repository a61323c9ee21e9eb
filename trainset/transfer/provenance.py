"""Provenance of a run: what happened to each file, in a chain of hashes, as Parquet.

Event types are NiFi's. Every event's hash covers the event and the hash before it, so that none
can be changed, removed or put in without the head (kept in the commit's metadata) telling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainset.errors import InputError
from trainset.identity import canonical_json
from trainset.transfer.base import Outcome

SCHEMA = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),  # from 0, over all parts of a run
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("source_version", pa.string()),
        pa.field("size", pa.int64()),  # bytes of the source file
        pa.field("sha256", pa.string()),
        pa.field("uri", pa.string()),  # in the home
        pa.field("version_id", pa.string()),
        pa.field("moved_bytes", pa.int64()),
        pa.field("kind", pa.string()),  # of the error, when it was left out
        pa.field("reason", pa.string()),
        pa.field("previous_hash", pa.string(), nullable=False),
        pa.field("hash", pa.string(), nullable=False),
    ]
)
SUMS = "SHA256SUMS"

# What each outcome says happened. A deferred file is dropped from this run, and comes again.
_TYPES = {
    "sent": ("RECEIVE", "FETCH", "SEND"),
    "duplicate": ("RECEIVE", "FETCH", "DUPLICATE"),
    "skipped": ("RECEIVE", "SKIP"),
    "deferred": ("RECEIVE", "DROP"),
    "failed": ("RECEIVE", "DEADLETTER"),
}


@dataclass(frozen=True)
class EventFile:
    """One finished part: put ``data`` at ``provenance/<run_id>/<name>``.

    Attributes:
        head: hash of the last event; ``previous`` of the next part.
        next_seq: ``seq`` of the next part's first event.
        sha256: of ``data``.
    """

    name: str
    data: bytes
    head: str
    next_seq: int
    sha256: str


def first_hash(run_id: str) -> str:
    """What the first event of a run follows."""
    return hashlib.sha256(f"trainset provenance {run_id}".encode()).hexdigest()


def write_events(
    outcomes: Iterable[Outcome],
    *,
    run_id: str,
    at: datetime,
    after: EventFile | None = None,
) -> EventFile:
    """The events of some outcomes as one Parquet file; the same input gives the same bytes.

    Args:
        at: aware; the time that the events bear.
        after: the part before this one; None: this is the run's first.
    """
    head = first_hash(run_id) if after is None else after.head
    seq = 0 if after is None else after.next_seq
    part = 0 if after is None else int(after.name[-13:-8]) + 1
    rows: list[dict[str, Any]] = []
    for event in _events(outcomes, run_id, at):
        row = {"seq": seq, **event, "previous_hash": head}
        head = row["hash"] = _event_hash(row)
        rows.append(row)
        seq += 1
    sink = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), sink, compression="zstd")
    data = sink.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    return EventFile(f"events-{part:05d}.parquet", data, head, seq, digest)


def sha256_sums(files: Sequence[EventFile]) -> bytes:
    """The SHA256SUMS of a run's parts, as ``sha256sum -c`` reads it."""
    return "".join(f"{f.sha256}  {f.name}\n" for f in files).encode()


def verify_events(parts: Sequence[bytes], run_id: str) -> str:
    """Check a run's parts, in order; the head hash, to compare with the commit's.

    Raises:
        InputError: names the first event that does not fit.
    """
    head, seq = first_hash(run_id), 0
    for data in parts:
        for row in pq.read_table(BytesIO(data)).to_pylist():
            if row["seq"] != seq or row["previous_hash"] != head or row["hash"] != _event_hash(row):
                raise InputError(
                    f"provenance of run {run_id}: event {seq} was changed, removed or put in; "
                    "compare the files with a copy (SHA256SUMS)"
                )
            head, seq = row["hash"], seq + 1
    return head


def _events(outcomes: Iterable[Outcome], run_id: str, at: datetime) -> Iterator[dict[str, Any]]:
    for o in outcomes:
        types = _TYPES[o.status]
        for name in types:
            ends = name == types[-1]
            read = ends or name == "FETCH"
            yield {
                "time": at,
                "type": name,
                "run_id": run_id,
                "key": o.file.key,
                "source_uri": o.file.uri,
                "source_version": o.file.version,
                "size": o.file.size,
                "sha256": o.sha256 if read else None,
                "uri": o.uri if ends else None,
                "version_id": o.version_id if ends else None,
                "moved_bytes": o.moved_bytes if ends else 0,
                "kind": o.kind if ends else None,
                "reason": o.reason if ends else None,
            }


def _event_hash(row: dict[str, Any]) -> str:
    """sha256 over everything but the hash itself; the time in µs, whatever its zone object."""
    said = {n: row[n] for n in SCHEMA.names if n not in ("hash", "time")}
    said["time_us"] = round(row["time"].timestamp() * 1_000_000)
    return hashlib.sha256(canonical_json(said)).hexdigest()
