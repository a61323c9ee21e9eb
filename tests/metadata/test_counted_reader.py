"""The progress of a sync: it moves with every page, never backwards, and changes nothing read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainset.errors import InputError
from trainset.metadata.base import Batch, State, Stream
from trainset.metadata.counted import CountedReader, SyncProgress


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
