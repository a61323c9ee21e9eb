"""The reader protocol of tables: sources whose rows have columns, types and keys of their own.

A label *file* gives ``annotations`` records (``base.Reader``). A database table, a REST resource or
a connector's stream gives rows in its own schema: they are stored as they are, kept up to date by
key and cursor, and become records when they are aligned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
from pydantic import ConfigDict

from trainset.metadata.base import State
from trainset.model import Frozen


class TableStream(Frozen):
    """One table that a source offers.

    Attributes:
        columns: names and types of now, in the source's order.
        key: names of the columns that identify a row; () when it has none.
        cursor: the column that grows with every change; None when it has none.
        rows: as the source estimates them; None when it does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    columns: pa.Schema
    key: tuple[str, ...] = ()
    cursor: str | None = None
    rows: int | None = None


class TableBatch(Frozen):
    """Rows in the source's columns, and the state that holds once they are stored.

    A reader that was killed is called again with the state of the last batch that was stored: a
    batch in the middle of a first read carries a state that goes on from there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    rows: pa.Table
    state: dict[str, Any]


class TableSession(Protocol):
    """One consistent look at a source (a database snapshot); a context manager."""

    def __enter__(self) -> TableSession: ...

    def __exit__(self, *error: object) -> None: ...

    def stream(self) -> TableStream:
        """The table as it is now."""
        ...

    def read(self, state: State) -> Iterator[TableBatch]:
        """Rows that are new or changed since ``state`` ({}: all), each at least once.

        The last batch may have no rows: it brings the state.
        """
        ...

    @property
    def unchanged(self) -> bool:
        """After ``read``: proven that no row was added, changed or deleted since the state."""
        ...

    def live_keys(self) -> Iterator[pa.Table] | None:
        """The key columns of every row that exists; None when the source cannot say."""
        ...


class TableReader(Protocol):
    """Reads the tables of one source. Airbyte's verbs; sync modes are not a reader's business."""

    def spec(self) -> Mapping[str, Any]:
        """JSON schema of this reader's options."""
        ...

    def check(self) -> None:
        """Raises InputError or AccessDenied when the source cannot be read."""
        ...

    def discover(self) -> Sequence[TableStream]: ...

    def open(self, stream: str, *, full: bool = False) -> TableSession:
        """Begin one sync of one stream.

        Args:
            full: every row is wanted whatever the state says; resumable all the same.
        Raises:
            InputError, AccessDenied, NotFound: there is no such table, or it may not be read.
            TransientError: try again.
        """
        ...
