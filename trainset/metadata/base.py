"""The reader protocol (Airbyte's four verbs) and what a sync hands on.

A reader gives label records of one source as Arrow batches in the ``annotations`` schema less
``media_id, media_key, match, row_id, row_fp`` (alignment fills those in).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
from pydantic import ConfigDict

from trainset.model import Frozen

State = Mapping[str, Any]  # JSON-able, opaque to everything but its reader


class Stream(Frozen):
    """One table-like thing a source offers: a file of labels, a database table."""

    name: str
    format: str
    records: int | None = None
    uri: str | None = None  # of a label file; alignment looks for media near it
    unread: str | None = None  # why this stream cannot be read; listed, never read
    covers: tuple[str, ...] = ()  # streams that an unread one stands for: not gone, not readable


class Rejected(Frozen):
    """One record that could not be used; kept in _quarantine/ with the original."""

    stream: str
    record: str  # where: file name and index or line
    kind: str
    reason: str
    original: str


class Batch(Frozen):
    """Records read, records rejected, and the state to store with them.

    Attributes:
        replaces: said by a stream's last batch: the files whose records (``<file>#…``) and
            rejections (``<file> …``) this sync replaces, the others stay. None: all are replaced.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    records: pa.Table
    rejected: tuple[Rejected, ...] = ()
    state: dict[str, Any]
    replaces: tuple[str, ...] | None = None


class Reader(Protocol):
    """Reads one metadata source."""

    def spec(self) -> Mapping[str, Any]:
        """JSON schema of this reader's options."""
        ...

    def check(self) -> None:
        """Raises InputError or AccessDenied when the source cannot be read."""
        ...

    def discover(self) -> Sequence[Stream]: ...

    def read(self, stream: str, state: State) -> Iterator[Batch]:
        """Records that are new or changed since ``state``; nothing when nothing changed.

        A file that changed is read whole. The batches replace the stream's rows, or those of the
        files that ``replaces`` of the last one names.
        """
        ...
