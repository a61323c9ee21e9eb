"""A reader that says how far it is, for those who watch a long sync."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from trainset.metadata.base import Batch, Reader, State, Stream


class SyncProgress(NamedTuple):
    """How far the sync of one source is.

    Attributes:
        stream: that is being read; "" before the first.
        done: streams that were read to their end, or had not changed.
        of: streams of the source.
        records: that were read so far, in all of its streams.
        pages: batches of the current stream so far.
    """

    stream: str = ""
    done: int = 0
    of: int = 0
    records: int = 0
    pages: int = 0

    @property
    def share(self) -> float:
        """0 to 1, never backwards. No reader knows how long a stream is, so within one each page
        is worth less than the one before: it moves while pages come, and is an estimate."""
        if not self.of:
            return 0.0
        return min((self.done + self.pages / (self.pages + 4)) / self.of, 1.0)

    @property
    def said(self) -> str:
        if self.done >= self.of:
            return f"{self.records:,} records read, {self.of:,} of {self.of:,} streams looked at"
        return (
            f"{self.records:,} records read, stream {self.done + 1:,} of {self.of:,}: {self.stream}"
        )


class CountedReader:
    """Tells of every batch of another reader; hands all on as it is."""

    def __init__(self, reader: Reader, tell: Callable[[SyncProgress], None]) -> None:
        self._reader, self._tell = reader, tell
        self._at = SyncProgress()

    def spec(self) -> Mapping[str, Any]:
        return self._reader.spec()

    def check(self) -> None:
        self._reader.check()

    def discover(self) -> Sequence[Stream]:
        streams = self._reader.discover()
        self._at = SyncProgress(of=sum(stream.unread is None for stream in streams))
        return streams

    def read(self, stream: str, state: State) -> Iterator[Batch]:
        self._say(stream=stream, pages=0)
        try:
            for batch in self._reader.read(stream, state):
                self._say(records=self._at.records + len(batch.records), pages=self._at.pages + 1)
                yield batch
        finally:
            self._say(done=self._at.done + 1, pages=0)

    def _say(self, **change: Any) -> None:
        self._at = self._at._replace(**change)
        self._tell(self._at)
