"""A reader of tables that says how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from trainset.metadata.base import State
from trainset.metadata.counted import Counter
from trainset.metadata.table_base import TableBatch, TableReader, TableSession, TableStream


class CountedTables:
    """Counts every batch of another reader; hands all on as it is.

    Args:
        count: who calls says in it which table begins and ends, for one may be opened twice.
    """

    def __init__(self, reader: TableReader, count: Counter) -> None:
        self._reader, self._count = reader, count

    def spec(self) -> Mapping[str, Any]:
        return self._reader.spec()

    def check(self) -> None:
        self._reader.check()

    def discover(self) -> Sequence[TableStream]:
        return self._reader.discover()

    def open(self, stream: str, *, full: bool = False) -> TableSession:
        return _CountedSession(self._reader.open(stream, full=full), self._count)


class _CountedSession:
    def __init__(self, session: TableSession, count: Counter) -> None:
        self._session, self._count = session, count

    def __enter__(self) -> TableSession:
        self._session.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._session.__exit__(*error)

    def stream(self) -> TableStream:
        return self._session.stream()

    def read(self, state: State) -> Iterator[TableBatch]:
        # How much of a table changed since its state, nobody knows before it is read.
        self._count.expect(None if state else self._session.stream().rows)
        for batch in self._session.read(state):
            self._count.page(len(batch.rows))
            yield batch

    @property
    def unchanged(self) -> bool:
        return self._session.unchanged

    def live_keys(self) -> Iterator[pa.Table] | None:
        return self._session.live_keys()
