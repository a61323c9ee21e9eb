"""Writes the events of a run part by part; the same input gives the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainset.identity import row_id
from trainset.transfer.base import Origin, Outcome
from trainset.transfer.provenance.events import Event, outcome_events
from trainset.transfer.provenance.ids import event_id
from trainset.transfer.provenance.schema import SCHEMA, event_hash, first_hash, microseconds
from trainset.transfer.verify_report import ObjectFault

SUMS = "SHA256SUMS"
PART_EVENTS = 25_000

# Columns where a value comes again and again; hashes do not.
_REPEATED = [
    field.name
    for field in SCHEMA
    if field.name not in ("event_id", "seq", "previous_hash", "hash")
    and not pa.types.is_nested(field.type)
]


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

    @property
    def number(self) -> int:
        return int(self.name[-13:-8])


@dataclass(frozen=True)
class EventLog:
    """A whole log: its head goes into the commit, ``sums`` beside the parts as ``SHA256SUMS``."""

    head: str
    events: int
    names: tuple[str, ...]
    sums: bytes


class EventWriter:
    """Takes outcomes batch after batch; holds the events of one part, however many there are.

    Args:
        run_id: of the run that the chain is of.
        put: gets each finished part, in order.
        at: aware; when the sources were listed.
        origin: who writes, where nobody else is named.
        rules: the spec's rules in words, by name (``describe_routes``).
        after: the part before the first, to go on with a log; None: the log begins.
        part_events: at most so many events a part. Where parts end does not depend on batches.
    """

    def __init__(
        self,
        run_id: str,
        put: Callable[[EventFile], None],
        *,
        at: datetime,
        origin: Origin | None = None,
        rules: Mapping[str, str] | None = None,
        after: EventFile | None = None,
        part_events: int = PART_EVENTS,
    ) -> None:
        self._run_id, self._put, self._at = run_id, put, at
        self._origin = origin or Origin()
        self._rules = rules or {}
        self._part_events = part_events
        self._head = first_hash(run_id) if after is None else after.head
        self._seq = 0 if after is None else after.next_seq
        self._part = 0 if after is None else after.number + 1
        self._rows: list[tuple[Any, ...]] = []
        self._sums: list[tuple[str, str]] = []

    def add(
        self,
        outcomes: Iterable[Outcome],
        *,
        dead: Container[str] | None = None,
        replayed: Container[str] = (),
        replay: str | None = None,
        faults: Mapping[str, ObjectFault] | None = None,
        parents: Mapping[str, str] | None = None,
        origin: Origin | None = None,
    ) -> None:
        """Add the events of some outcomes; see ``outcome_events``.

        Args:
            origin: who brought them about, if not the writer.
        """
        for outcome in outcomes:
            self.add_events(
                outcome_events(
                    outcome,
                    listed_at=self._at,
                    rules=self._rules,
                    dead=dead,
                    replayed=replayed,
                    replay=replay,
                    faults=faults,
                    parents=parents,
                ),
                origin=origin,
            )

    def add_events(self, events: Iterable[Event], *, origin: Origin | None = None) -> None:
        """Add events that no outcome stands for: a VERIFY at the end of the run, for one."""
        o = origin or self._origin
        run = (self._run_id, o.flow_run_id, o.task_run_id, o.batch_id)
        who = (*run, o.host, o.worker, o.code_version, o.config_hash)
        file_id, key = "", None
        for e in events:
            time = microseconds(e.time)
            if e.key != key:  # the events of one file come together
                file_id, key = row_id(e.key), e.key
            until = None if e.retention_until is None else microseconds(e.retention_until)
            values = (
                event_id(self._run_id, self._seq, time),
                self._seq,
                time,
                e.duration_ms,
                e.type,
                *who,
                *(file_id, e.parent_ids, e.child_ids),
                *(e.key, e.source_uri, e.source_version, e.source_size),
                *(e.uri, e.version_id, e.etag, e.sha256_before, e.sha256, e.bytes, e.attempt),
                *(e.component, e.relationship, e.rule_id, e.verified, e.kind, e.reason),
                *(e.http_status, e.error_code, e.request_id, until, e.attributes_changed),
                self._head,
            )
            self._head = event_hash(values)
            self._rows.append((*values, self._head))
            self._seq += 1
            if len(self._rows) == self._part_events:
                self._flush()

    def close(self) -> EventLog:
        """Write what waits. Without any event there is no part, and the head is the first hash."""
        if self._rows:
            self._flush()
        names = tuple(name for name, _ in self._sums)
        return EventLog(self._head, self._seq, names, _sums(self._sums))

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True)
        arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
        self._rows.clear()
        sink = BytesIO()
        pq.write_table(
            pa.Table.from_arrays(arrays, schema=SCHEMA),
            sink,
            compression="zstd",
            use_dictionary=_REPEATED,
        )
        data = sink.getvalue()
        digest = hashlib.sha256(data).hexdigest()
        part = EventFile(f"events-{self._part:05d}.parquet", data, self._head, self._seq, digest)
        self._part += 1
        self._sums.append((part.name, digest))
        self._put(part)


def write_events(
    outcomes: Iterable[Outcome],
    *,
    run_id: str,
    at: datetime,
    origin: Origin | None = None,
    after: EventFile | None = None,
) -> EventFile:
    """The events of a few outcomes (one or more) as one part; for many there is ``EventWriter``.

    Args:
        at: aware; when the sources were listed.
        origin: who writes.
        after: the part before this one; None: this is the run's first.
    """
    parts: list[EventFile] = []
    writer = EventWriter(run_id, parts.append, at=at, origin=origin, after=after, part_events=2**62)
    writer.add(outcomes)
    writer.close()
    return parts[0]


def sha256_sums(files: Sequence[EventFile]) -> bytes:
    """The SHA256SUMS of a run's parts, as ``sha256sum -c`` reads it."""
    return _sums([(file.name, file.sha256) for file in files])


def _sums(files: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{sha256}  {name}\n" for name, sha256 in files).encode()
