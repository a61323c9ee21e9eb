"""The columns of provenance parts, and how an event is hashed, for every schema there ever was.

A part says its schema in the metadata of its Parquet file (``trainset.provenance``); parts of the
first schema say nothing. Old parts are read and verified for ever, only the newest is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa

from trainset.identity import canonical_json

VERSION = 3
VERSION_KEY = b"trainset.provenance"

_TIME = pa.timestamp("us", tz="UTC")
_IDS = pa.list_(pa.string())
_TEXTS = pa.map_(pa.string(), pa.string())
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _field(name: str, type_: pa.DataType = pa.string()) -> pa.Field:  # noqa: B008
    return pa.field(name, type_)


def _must(name: str, type_: pa.DataType = pa.string()) -> pa.Field:  # noqa: B008
    return pa.field(name, type_, nullable=False)


SCHEMA = pa.schema(
    [
        _must("event_id"),  # a UUID of version 7: ``ids.event_id``
        _must("seq", pa.int64()),  # from 0, over all parts of a run
        _must("time", _TIME),
        _field("duration_ms", pa.int64()),  # of the whole file, on its last event but VERIFY
        _must("type"),
        _must("run_id"),
        _field("flow_run_id"),  # the orchestrator's
        _field("task_run_id"),
        _field("batch_id"),  # <number> of <count>
        _field("host"),
        _field("worker"),
        _field("code_version"),
        _field("config_hash"),  # of the spec's sources, rules and protection
        _must("file_id"),  # the same in every run, and the media table's ``row_id``
        _field("parent_ids", _IDS),  # DUPLICATE: file_id of the file that brought the bytes first
        _field("child_ids", _IDS),  # DUPLICATE: of the file that is one more name of them
        _must("key"),
        _must("source_uri"),
        _field("source_version"),
        _field("source_size", pa.int64()),  # bytes, as listed
        _field("uri"),  # at the destination; relative: in the home
        _field("version_id"),  # the destination store's own
        _field("etag"),
        _field("sha256_before"),  # what was known of the bytes when the event began
        _field("sha256"),  # FETCH: of what was read; later: of what the destination holds
        _field("bytes", pa.int64()),  # that moved over the wire
        _field("attempt", pa.int64()),  # in this run, from 1
        _field("component"),  # list, read, route, send, verify
        _field("relationship"),  # success, failure, or the route's name
        _field("rule_id"),  # name of the spec's rule
        _field("verified"),  # level that was reached: L0 … L4
        _field("kind"),  # of the error
        _field("reason"),
        _field("http_status", pa.int64()),  # of the reply that ended it; None: no server spoke
        _field("error_code"),  # S3's name of the error in that reply
        _field("request_id"),  # x-amz-request-id of that reply, for the store's support
        _field("retention_until", _TIME),  # the end of the object's lock
        _field("attributes_changed", _TEXTS),  # FETCH: what a look into the bytes taught
        _must("previous_hash"),
        _must("hash"),
    ],
    metadata={VERSION_KEY: str(VERSION).encode()},
)

# As the second schema had it: event ids were <run_id>-<seq>, and no server was asked.
SCHEMA_2 = pa.schema(
    [
        _must("event_id"),
        _must("seq", pa.int64()),
        _must("time", _TIME),
        _field("duration_ms", pa.int64()),
        _must("type"),
        _must("run_id"),
        _field("host"),
        _field("worker"),
        _field("code_version"),
        _field("config_hash"),
        _must("key"),
        _must("source_uri"),
        _field("source_version"),
        _field("source_size", pa.int64()),
        _field("uri"),
        _field("version_id"),
        _field("etag"),
        _field("sha256"),
        _field("bytes", pa.int64()),
        _field("attempt", pa.int64()),
        _field("component"),
        _field("relationship"),
        _field("rule_id"),
        _field("verified"),
        _field("kind"),
        _field("reason"),
        _must("previous_hash"),
        _must("hash"),
    ],
    metadata={VERSION_KEY: b"2"},
)

# As the first version of trainset wrote them: one SEND, SKIP, DROP … a file, no more facts.
SCHEMA_1 = pa.schema(
    [
        _must("seq", pa.int64()),
        _must("time", _TIME),
        _must("type"),
        _must("run_id"),
        _must("key"),
        _must("source_uri"),
        _field("source_version"),
        _field("size", pa.int64()),
        _field("sha256"),
        _field("uri"),
        _field("version_id"),
        _field("moved_bytes", pa.int64()),
        _field("kind"),
        _field("reason"),
        _must("previous_hash"),
        _must("hash"),
    ]
)
RENAMED = {"size": "source_size", "moved_bytes": "bytes"}  # since the first schema

_encode = json.JSONEncoder(separators=(",", ":")).encode  # ASCII alone


def version_of(schema: pa.Schema) -> int | None:
    """The version of a part's schema; None when no version of trainset wrote such a part."""
    said = (schema.metadata or {}).get(VERSION_KEY)
    version = 1 if said is None else int(said) if said.isdigit() else 0
    known = {1: SCHEMA_1, 2: SCHEMA_2, VERSION: SCHEMA}.get(version)
    if known is None or schema.names != known.names or schema.types != known.types:
        return None
    return version


def first_hash(run_id: str) -> str:
    """What the first event of a run follows."""
    return hashlib.sha256(f"trainset provenance {run_id}".encode()).hexdigest()


def microseconds(time: datetime) -> int:
    """Since 1970, exactly; ``time`` is aware."""
    return (time - _EPOCH) // _MICROSECOND


def event_hash(values: tuple[Any, ...]) -> str:
    """The hash of an event, since the second schema: sha256 of a JSON array in ASCII.

    Args:
        values: those of the schema in its order, but ``hash``; times in µs since 1970, lists as
            arrays, texts by name as arrays of pairs. There is no white space; what lies outside
            ASCII is written as ``\\uXXXX``.
    """
    try:
        text = orjson.dumps(values)
    except TypeError:  # half of a surrogate pair, in a name that is no UTF-8
        text = b"\xff"
    if not text.isascii() or b"\x7f" in text:  # else both write the same, and orjson is quicker
        text = _encode(values).encode("ascii")
    return hashlib.sha256(text).hexdigest()


def batch_hashes(batch: pa.RecordBatch, version: int) -> Iterator[tuple[int, str, str, str, str]]:
    """(seq, previous hash, hash as stored, hash as computed, run id) of every event of a batch."""
    names = batch.schema.names
    columns = [
        (column.cast(pa.int64()) if column.type == _TIME else column).to_pylist()
        for column in batch.columns
    ]
    seq, before, run = names.index("seq"), names.index("previous_hash"), names.index("run_id")
    compute = _event_hash_1 if version == 1 else event_hash
    for row in zip(*columns, strict=True):
        yield row[seq], row[before], row[-1], compute(row[:-1]), row[run]


def _event_hash_1(values: tuple[Any, ...]) -> str:
    """As the first schema had it: canonical JSON by name, slower."""
    said = dict(zip(SCHEMA_1.names, values, strict=False))
    said["time_us"] = said.pop("time")
    return hashlib.sha256(canonical_json(said)).hexdigest()
