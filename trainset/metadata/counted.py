"""Readers that say how far they are, for those who watch a long sync."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from trainset.metadata.base import Batch, Reader, State, Stream

Tell = Callable[["SyncProgress"], None]


class SyncProgress(NamedTuple):
    """How far the sync of one source is.

    Attributes:
        stream: that is being read; "" before the first.
        done: streams that were read to their end, or had not changed.
        of: streams of the source.
        records: that were read so far, in all of its streams.
        pages: batches of the current stream so far.
        here: records of the current stream so far.
        expected: records that the current stream is thought to have; None: nobody can say.
    """

    stream: str = ""
    done: int = 0
    of: int = 0
    records: int = 0
    pages: int = 0
    here: int = 0
    expected: int | None = None

    @property
    def share(self) -> float:
        """0 to 1, never backwards within what is expected of a stream. Where that is not known,
        each page is worth less than the one before: it moves while pages come."""
        if not self.of:
            return 0.0
        if self.expected:
            inside = min(self.here / self.expected, 0.99)
        else:
            inside = self.pages / (self.pages + 4)
        return min((self.done + inside) / self.of, 1.0)

    @property
    def said(self) -> str:
        if self.done >= self.of:
            return f"{self.records:,} records read, {self.of:,} of {self.of:,} streams looked at"
        about = f" (about {self.expected:,} records)" if self.expected else ""
        return (
            f"{self.records:,} records read, stream {self.done + 1:,} of {self.of:,}: "
            f"{self.stream}{about}"
        )


class Counter:
    """Keeps the count of one source, and tells of every change whoever wants to know."""

    def __init__(self, tell: Tell | None, of: int = 0) -> None:
        self._tell, self._at = tell, SyncProgress(of=of)

    def set_streams(self, of: int) -> None:
        self._at = self._at._replace(of=of)

    def begin(self, stream: str) -> None:
        self._say(stream=stream, pages=0, here=0, expected=None)

    def expect(self, records: int | None) -> None:
        self._say(pages=0, here=0, expected=records)

    def page(self, records: int) -> None:
        at = self._at
        self._say(records=at.records + records, pages=at.pages + 1, here=at.here + records)

    def end(self) -> None:
        self._say(done=self._at.done + 1, pages=0, here=0, expected=None)

    def _say(self, **change: Any) -> None:
        self._at = self._at._replace(**change)
        if self._tell is not None:
            self._tell(self._at)


class CountedReader:
    """Tells of every batch of another reader; hands all on as it is."""

    def __init__(self, reader: Reader, tell: Tell) -> None:
        self._reader, self._count = reader, Counter(tell)

    def spec(self) -> Mapping[str, Any]:
        return self._reader.spec()

    def check(self) -> None:
        self._reader.check()

    def discover(self) -> Sequence[Stream]:
        streams = self._reader.discover()
        self._count.set_streams(sum(stream.unread is None for stream in streams))
        return streams

    def read(self, stream: str, state: State) -> Iterator[Batch]:
        self._count.begin(stream)
        try:
            for batch in self._reader.read(stream, state):
                self._count.page(len(batch.records))
                yield batch
        finally:
            self._count.end()
