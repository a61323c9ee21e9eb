"""What one sync reads of a table: parts on this machine's disk, and an index in memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from trainset.metadata.base import Rejected, State
from trainset.metadata.store import encode_schema
from trainset.metadata.table_base import TableBatch, TableSession
from trainset.metadata.tables.cast import fit, plain_table
from trainset.metadata.tables.chunks import load_chunk, save_chunk
from trainset.metadata.tables.contract import EXTRACTED_AT, META, ROW_HASH, SYNC_ID, SYSTEM
from trainset.metadata.tables.hashes import key_array, row_hashes
from trainset.metadata.tables.mapping import ColumnMapping
from trainset.metadata.tables.parts import LocalPart, PartWriter, read_rows, with_system
from trainset.metadata.tables.upsert import Index


class Delta:
    """Rows of one sync, fitted to the contract.

    Args:
        folder: for the parts.
        token: of all that the read depends on; None: it cannot be gone on from when it is killed.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        *,
        mapping: ColumnMapping,
        key: Sequence[str],
        cursor: str | None,
        stream: str,
        sync_id: str,
        now: datetime,
        token: str | None,
    ) -> None:
        self.schema, self.all_columns = schema, with_system(schema)
        self.rejected: list[Rejected] = []
        self.rows = 0
        self.state: dict[str, Any] | None = None
        self.resumed = False
        self.folder, self._token = folder, token
        self._mapping, self._key, self._cursor, self._stream = mapping, tuple(key), cursor, stream
        self._sync_id, self._now = sync_id, now
        self._writer = PartWriter(folder, self.all_columns, f"part-{sync_id}-d")
        self._keys: list[pa.Array] = []
        self._cursors: list[pa.Array] = []
        self._hashes: list[np.ndarray] = [np.empty(0, np.uint64)]
        self._gone: list[np.ndarray] = [np.empty(0, bool)]

    @property
    def parts(self) -> list[LocalPart]:
        return self._writer.parts

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read, not even what does not fit."""
        return not self.rows and not self.rejected

    def read(self, session: TableSession, state: State) -> Index:
        """Read all rows since ``state``; the index of them in order of arrival.

        The session is asked in this thread, rows are fitted and written in another: the source
        sends the next batch meanwhile.
        """
        state = self._take_up() or state
        with ThreadPoolExecutor(1, "sync-rows") as worker:
            writing: Future[None] | None = None
            for batch in session.read(state):
                if writing is not None:
                    writing.result()
                writing = worker.submit(self._add, batch)
            if writing is not None:
                writing.result()
        self._writer.flush()
        cursor = pa.concat_arrays(self._cursors) if self._cursors else None
        if self._keys:
            keys = pa.concat_arrays(self._keys)
        elif self._key:
            keys = key_array(self.schema.empty_table(), self._key)
        else:
            keys = pa.array(np.arange(self.rows))
        return Index(keys, cursor, np.concatenate(self._hashes), np.concatenate(self._gone))

    def _take_up(self) -> dict[str, Any] | None:
        """The state to go on from, when a killed read left parts that fit."""
        if self._token is None:
            return None
        chunk = load_chunk(self.folder, token=self._token, arrow_schema=encode_schema(self.schema))
        if chunk is None:
            return None
        self._writer.parts = chunk.parts(self.folder)
        for part in self._writer.parts:
            for rows in read_rows(part.path, self.all_columns):
                self._note(rows, gone=False)
        self.rejected = list(chunk.rejected)
        self.state, self.resumed = dict(chunk.state), True
        return self.state

    def _add(self, batch: TableBatch) -> None:
        """Take the rows of one batch, and note where to go on when a part has become full."""
        ended = len(self.parts)
        kept, out = self._mapping.split(plain_table(batch.rows))
        for table, gone in ((kept, False), (out, True)):
            if table.num_rows == 0:
                continue
            rows, rejected = fit(table, self.schema, self._key, stream=self._stream)
            if not gone:
                self.rejected += rejected
            rows = self._finished(rows)
            self._note(rows, gone=gone)
            if not gone:
                self._writer.add(rows)
        self.state = dict(batch.state)
        # {}: the reader cannot go on from here.
        if self._token is not None and self.state and len(self.parts) > ended:
            save_chunk(
                self.folder,
                self.parts,
                token=self._token,
                arrow_schema=encode_schema(self.schema),
                state=self.state,
                rejected=tuple(self.rejected),
            )

    def _finished(self, rows: pa.Table) -> pa.Table:
        """Rows with their system columns, in the order of the stored schema."""
        count = rows.num_rows
        read_at = pa.scalar(self._now, SYSTEM.field(EXTRACTED_AT).type)
        system = {
            SYNC_ID: pa.repeat(pa.scalar(self._sync_id), count),
            EXTRACTED_AT: pa.repeat(read_at, count),
            ROW_HASH: row_hashes(rows, [*self.schema.names, META]),
            META: rows[META],
        }
        columns = [rows[name] for name in self.schema.names]
        return pa.table([*columns, *system.values()], schema=self.all_columns)

    def _note(self, rows: pa.Table, *, gone: bool) -> None:
        self.rows += rows.num_rows
        if self._key:
            self._keys.append(key_array(rows, self._key))
        if self._cursor is not None:
            self._cursors.append(key_array(rows, [self._cursor]))
        self._hashes.append(rows[ROW_HASH].to_numpy())
        self._gone.append(np.full(rows.num_rows, gone))
