"""The progress of a sync: it moves with every page, never backwards, and changes nothing read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.memory_tables import MemoryTable, MemoryTables

from trainset.errors import InputError
from trainset.home import open_home
from trainset.metadata.base import Batch, State, Stream
from trainset.metadata.counted import CountedReader, SyncProgress
from trainset.metadata.tables.source import sync_tables
from trainset.spec_metadata import MetadataSource

NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Pages:
    """A reader of streams with so many pages of two records each."""

    def __init__(self, pages: Sequence[int], *, broken: int | None = None) -> None:
        self._pages, self._broken = pages, broken

    def spec(self) -> Mapping[str, Any]:
        return {}

    def check(self) -> None:
        return

    def discover(self) -> Sequence[Stream]:
        return [Stream(name=str(i), format="coco") for i in range(len(self._pages))]

    def read(self, stream: str, state: State) -> Iterator[Batch]:
        for page in range(self._pages[int(stream)]):
            if int(stream) == self._broken and page == 1:
                raise InputError("cut off; mend it")
            yield Batch(records=pa.table({"a": [1, 2]}), state={"page": page})


def read_all(reader: CountedReader) -> list[Batch]:
    return [batch for stream in reader.discover() for batch in reader.read(stream.name, {})]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_progress_moves_with_every_page_and_ends_at_the_whole(pages: list[int]) -> None:
    told: list[SyncProgress] = []
    batches = read_all(CountedReader(Pages(pages), told.append))
    assert [len(b.records) for b in batches] == [2] * sum(pages)
    shares = [now.share for now in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert told[-1].records == 2 * sum(pages)
    assert len(set(shares)) >= len([p for p in pages if p]) + sum(pages)
    assert "streams looked at" in told[-1].said


def test_a_stream_that_breaks_off_raises_as_before_and_the_next_goes_on() -> None:
    told: list[SyncProgress] = []
    reader = CountedReader(Pages([3, 1], broken=0), told.append)
    reader.discover()
    with pytest.raises(InputError, match="cut off"):
        list(reader.read("0", {}))
    assert told[-1].said == "2 records read, stream 2 of 2: 0"
    assert len(list(reader.read("1", {}))) == 1
    assert told[-1].share == 1.0


def test_the_sync_of_tables_moves_with_every_batch_and_ends_at_the_whole(tmp_path: Path) -> None:
    first = MemoryTable(pa.schema([("id", pa.int64())]), batch_rows=10)
    second = MemoryTable(pa.schema([("id", pa.int64())]), batch_rows=10)
    for i in range(100):
        first.put(id=i)
    second.put(id=1)
    tables = MemoryTables(first=first, second=second)
    source = MetadataSource.model_validate(
        {"name": "db", "from": "sqlite:///x.db", "tables": ["first", "gone", "second"]}
    )
    home = open_home(str(tmp_path / "home"), create=True)
    told: list[SyncProgress] = []

    def sync(run_id: str) -> None:
        workspace = home.versions.begin(run_id)
        sync_tables(tables, source, workspace, sync_id=run_id, now=NOW, progress=told.append)
        workspace.commit(run_id, {})
        workspace.merge()

    sync("r1")
    shares = [now.share for now in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert "about 100 records" in told[5].said
    assert told[5].share == pytest.approx(told[5].here / 100 / 3)
    assert told[-1].records == 101
    assert "3 of 3 streams" in told[-1].said
    told.clear()
    first.put(id=100)
    sync("r2")
    assert all(now.expected is None for now in told), "nobody knows how much of it changed"
    assert (told[-1].records, told[-1].share) == (1, 1.0)
