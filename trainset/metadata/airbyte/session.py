"""One sync of one stream: a run of the connector whose records become batches of rows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pyarrow as pa

from trainset.errors import InputError
from trainset.metadata.airbyte.batches import Gathering
from trainset.metadata.airbyte.connector import Connector, Message
from trainset.metadata.airbyte.progress import Progress
from trainset.metadata.airbyte.protocol import CatalogStream, States
from trainset.metadata.airbyte.rows import to_rows
from trainset.metadata.airbyte.schema import FieldColumn, schema_of
from trainset.metadata.base import State
from trainset.metadata.table_base import TableBatch, TableStream


class AirbyteSession:
    """A ``TableSession`` over one connector; the connector runs while ``read`` is iterated.

    Args:
        stream: as the connector described it.
        full: every record is wanted: no state of an earlier sync is sent.
    """

    def __init__(
        self,
        connector: Connector,
        stream: CatalogStream,
        columns: Sequence[FieldColumn],
        *,
        full: bool,
    ) -> None:
        self._connector, self._stream, self._columns = connector, stream, columns
        self._full = full or not stream.incremental
        self._run: Iterator[Message] | None = None
        self._keys: list[pa.Table] | None = None

    def __enter__(self) -> AirbyteSession:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def stream(self) -> TableStream:
        return to_stream(self._stream, self._columns)

    @property
    def unchanged(self) -> bool:
        """False: that nothing was deleted is more than a connector can say."""
        return False

    def read(self, state: State) -> Iterator[TableBatch]:
        """Rows since ``state``; the table of a batch has the types of ``stream().columns``.

        Where a value does not fit its type, that batch has the column as text. A batch carries the
        newest state that came before its end; rows after it are given again if the read is cut off.

        Raises:
            InputError, AccessDenied, TransientError: the connector failed; its batches so far hold.
        """
        past = Progress.of_state(state, self._connector.name)
        goes_on = past is not None and (not self._full or self._resumes(past))
        states = States(past.states if past is not None and goes_on else ())
        listed = self._stream.key and not self._stream.incremental and not goes_on
        keys: list[pa.Table] | None = [] if listed else None
        waiting = Gathering(time.monotonic())
        at = dict(state) if goes_on else {}
        run = self._run = self._connector.read(self._stream, states)
        try:
            for message in run:
                if message.kind == "RECORD":
                    record = message.body.get("record") or {}
                    if not self._stream.is_of(record):
                        raise InputError(
                            f"{self._connector.name}, asked for {self._stream.name!r}, gave a "
                            f"record of {record.get('stream')!r}; try another version of it"
                        )
                    full = waiting.add(self._data(record.get("data")), message.size)
                elif message.kind == "STATE":
                    states.take(message.body.get("state") or {})
                    if not self._checkpoints:
                        continue
                    at = self._state(states, unfinished=self._full)
                    full = waiting.cover(time.monotonic())
                else:
                    continue
                if full:
                    yield self._batch(waiting, at, keys)
        finally:
            self._end()
        yield self._batch(waiting, self._state(states, unfinished=False), keys, last=True)
        self._keys = keys

    def live_keys(self) -> Iterator[pa.Table] | None:
        """Keys of all rows after a read that gave all of them; None for an incremental stream."""
        return None if self._keys is None else iter(self._keys)

    @property
    def _checkpoints(self) -> bool:
        """Whether a read can go on from a state of its middle."""
        return self._stream.incremental or self._stream.resumable

    def _resumes(self, past: Progress) -> bool:
        return past.unfinished and bool(past.states) and self._checkpoints

    def _state(self, states: States, *, unfinished: bool) -> dict[str, object]:
        done = not self._stream.incremental and not unfinished  # the next one reads all again
        return Progress(
            connector=self._connector.name,
            states=() if done else states.kept(),
            unfinished=unfinished,
        ).to_state()

    def _batch(
        self,
        waiting: Gathering,
        state: dict[str, object],
        keys: list[pa.Table] | None,
        *,
        last: bool = False,
    ) -> TableBatch:
        if last:
            waiting.cover(time.monotonic())
        rows = to_rows(waiting.take(time.monotonic()), self._columns)
        if keys is not None:
            keys.append(rows.select([".".join(path) for path in self._stream.key]))
        return TableBatch(rows=rows, state=state)

    def _data(self, data: object) -> dict[str, object]:
        if not isinstance(data, dict):
            raise InputError(
                f"{self._connector.name}: a record of {self._stream.name!r} is no object; try "
                "another version of the connector"
            )
        return data

    def _end(self) -> None:
        """Stop the connector, if it runs."""
        run, self._run = self._run, None
        if run is not None and hasattr(run, "close"):
            run.close()


def to_stream(stream: CatalogStream, columns: Sequence[FieldColumn]) -> TableStream:
    return TableStream(
        name=stream.name,
        columns=schema_of(columns),
        key=tuple(".".join(path) for path in stream.key),
        cursor=".".join(stream.cursor) if stream.cursor else None,
    )
