"""Provenance of a run: what happened to each file, in a chain of hashes, as Parquet.

Every event's hash covers the event and the hash before it, so that none can be changed, removed or
put in without the head (kept in the commit's metadata) telling.
"""

from trainset.transfer.base import Origin
from trainset.transfer.provenance.events import (
    Event,
    check_events,
    describe_routes,
    outcome_events,
)
from trainset.transfer.provenance.put import put_events
from trainset.transfer.provenance.read import find_keys, read_events
from trainset.transfer.provenance.schema import SCHEMA, first_hash
from trainset.transfer.provenance.verify import verify_events
from trainset.transfer.provenance.write import (
    PART_EVENTS,
    SUMS,
    EventFile,
    EventLog,
    EventWriter,
    sha256_sums,
    write_events,
)

__all__ = [
    "PART_EVENTS",
    "SCHEMA",
    "SUMS",
    "Event",
    "EventFile",
    "EventLog",
    "EventWriter",
    "Origin",
    "check_events",
    "describe_routes",
    "find_keys",
    "first_hash",
    "outcome_events",
    "put_events",
    "read_events",
    "sha256_sums",
    "verify_events",
    "write_events",
]
