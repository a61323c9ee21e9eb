"""Pins that came to nothing are found by their versions, however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from trainset.stores.s3_list import ObjectVersion
from trainset.transfer.pins import gone_pins

_NAMES = st.sampled_from(["a", "b", "raw/a", "ä", "x" * 40])
_PINS = st.sampled_from(["v1", "v2", "etag:1", "mtime:1", None])
_ROW = st.tuples(
    st.sampled_from(["raw", "raw2"]), _NAMES, _PINS, st.sampled_from(["present", "missing"])
)


def _version(version_id: str) -> ObjectVersion:
    return ObjectVersion(version_id, datetime(2026, 1, 1, tzinfo=UTC), 1, True)


@given(
    rows=st.lists(_ROW, max_size=30, unique_by=lambda row: row[:2]),
    there=st.sets(st.tuples(_NAMES, st.sampled_from(["v1", "v2", "v3"])), max_size=20),
)
def test_just_the_pins_of_the_source_that_are_gone_are_found(
    rows: list[tuple[str, str, str | None, str]], there: set[tuple[str, str]]
) -> None:
    table = pa.table(
        {
            "key": pa.array([f"{source}/{path}" for source, path, _, _ in rows], pa.string()),
            "version_id": pa.array([pin for _, _, pin, _ in rows], pa.string()),
            "source_state": pa.array([state for *_, state in rows], pa.string()),
        }
    )
    asked = 0

    def scan(columns: Sequence[str]) -> Iterable[pa.RecordBatch]:
        return table.select(columns).to_batches(max_chunksize=7)

    def versions() -> Iterator[tuple[str, ObjectVersion]]:
        nonlocal asked
        asked += 1
        yield from ((path, _version(pin)) for path, pin in sorted(there))

    pinned = [
        (f"raw/{path}", (path, pin))
        for source, path, pin, state in rows
        if source == "raw" and state == "present" and pin in ("v1", "v2")
    ]
    found = list(gone_pins(scan, "raw", versions))
    assert sorted(found) == sorted(key for key, pin in pinned if pin not in there)
    assert asked == bool(pinned), "a bucket without versions is not listed for them"
