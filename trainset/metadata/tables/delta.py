"""What one sync reads of a table: parts in the workspace, an index in memory, and where to go on.

After each full part ``_resume.json`` says what is there and which state goes on from it. A try that
was killed is taken up by the next one of the same run; without one its parts go with its branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from trainset.metadata.base import Rejected
from trainset.metadata.store import DataFile, encode, encode_schema
from trainset.metadata.table_base import TableBatch
from trainset.metadata.tables.cast import fit, plain_table
from trainset.metadata.tables.contract import EXTRACTED_AT, META, ROW_HASH, SYNC_ID, SYSTEM
from trainset.metadata.tables.hashes import key_array, row_hashes
from trainset.metadata.tables.mapping import ColumnMapping
from trainset.metadata.tables.parts import PartWriter, read_rows, with_system
from trainset.metadata.tables.upsert import Index
from trainset.model import Frozen
from trainset.versions.base import Workspace

RESUME = "_resume.json"


class Resume(Frozen):
    """``_resume.json``: how far a first read has come. It never stands in a commit of main."""

    token: str  # of base state and options: another one starts over
    arrow_schema: str
    files: tuple[DataFile, ...]
    state: dict[str, Any]
    rejected: tuple[Rejected, ...] = ()
    bad_rows: int = 0


class Delta:
    """Rows of one sync, fitted to the contract."""

    def __init__(
        self,
        workspace: Workspace,
        folder: str,
        schema: pa.Schema,
        *,
        mapping: ColumnMapping,
        key: Sequence[str],
        cursor: str | None,
        stream: str,
        sync_id: str,
        now: datetime,
        token: str,
    ) -> None:
        self.schema = schema
        self.rejected: list[Rejected] = []
        self.bad_rows = self.rows = 0
        self.state: dict[str, Any] | None = None
        self._workspace, self._folder, self._token = workspace, folder, token
        self._mapping, self._key, self._cursor, self._stream = mapping, tuple(key), cursor, stream
        self._sync_id, self._now = sync_id, now
        self._writer = PartWriter(workspace, folder, with_system(schema), f"part-{sync_id}-d")
        self._keys: list[pa.Array] = []
        self._cursors: list[pa.Array] = []
        self._hashes: list[np.ndarray] = [np.empty(0, np.uint64)]
        self._gone: list[np.ndarray] = [np.empty(0, bool)]

    @property
    def files(self) -> tuple[DataFile, ...]:
        return tuple(self._writer.files)

    def take_up(self) -> dict[str, Any] | None:
        """The state to go on from, when a killed try left parts that fit; else they are removed."""
        path = self._folder + RESUME
        if path not in self._workspace.list(path):
            return None
        found = Resume.model_validate_json(self._workspace.read(path))
        present = set(self._workspace.list(self._folder))
        there = all(self._folder + file.path in present for file in found.files)
        same = (found.token, found.arrow_schema) == (self._token, encode_schema(self.schema))
        if not there or not same:
            self._workspace.remove(path)
            return None
        for file in found.files:
            for rows in read_rows(self._workspace, self._folder + file.path, self.schema_all):
                self._note(rows, gone=False)
        self._writer.files = list(found.files)
        self.rejected, self.bad_rows = list(found.rejected), found.bad_rows
        self.state = dict(found.state)
        return self.state

    @property
    def schema_all(self) -> pa.Schema:
        return with_system(self.schema)

    def add(self, batch: TableBatch) -> None:
        """Take the rows of one batch, and note where to go on when a part has become full."""
        kept, out = self._mapping.split(plain_table(batch.rows))
        for table, gone in ((kept, False), (out, True)):
            if table.num_rows == 0:
                continue
            rows, rejected, bad = fit(table, self.schema, self._key, stream=self._stream)
            if not gone:
                self.rejected += rejected
                self.bad_rows += bad
            rows = self._finished(rows)
            self._note(rows, gone=gone)
            if not gone:
                self._writer.add(rows)
        self.state = dict(batch.state)
        # Rows that a filter takes out leave no part behind, so such a read starts over.
        if self._mapping.where is None and self._writer.is_flush_due:
            self._writer.flush()
            self._workspace.write(self._folder + RESUME, encode(self._resume().model_dump()))

    def finish(self) -> Index:
        """End the last part; the index of all rows in order of arrival."""
        self._writer.close()
        cursor = None
        if self._cursor is not None and self._cursors:
            cursor = pa.concat_arrays(self._cursors)
        if self._keys:
            keys = pa.concat_arrays(self._keys)
        elif self._key:
            keys = key_array(self.schema.empty_table(), self._key)
        else:
            keys = pa.array(np.arange(self.rows))
        return Index(keys, cursor, np.concatenate(self._hashes), np.concatenate(self._gone))

    def _finished(self, rows: pa.Table) -> pa.Table:
        """Rows with their system columns, in the order of the stored schema."""
        count = rows.num_rows
        system = {
            SYNC_ID: pa.array([self._sync_id], pa.string()).take(pa.array(np.zeros(count, int))),
            EXTRACTED_AT: pa.array(
                np.full(count, np.datetime64(self._now.replace(tzinfo=None), "us"))
            )
            .cast(pa.timestamp("us"))
            .cast(SYSTEM.field(EXTRACTED_AT).type),
            ROW_HASH: row_hashes(rows, [*self.schema.names, META]),
            META: rows[META],
        }
        columns = [rows[name] for name in self.schema.names]
        return pa.table([*columns, *system.values()], schema=self.schema_all)

    def _note(self, rows: pa.Table, *, gone: bool) -> None:
        self.rows += rows.num_rows
        if self._key:
            self._keys.append(key_array(rows, self._key))
        if self._cursor is not None:
            self._cursors.append(key_array(rows, [self._cursor]))
        self._hashes.append(rows[ROW_HASH].to_numpy())
        self._gone.append(np.full(rows.num_rows, gone))

    def _resume(self) -> Resume:
        assert self.state is not None
        return Resume(
            token=self._token,
            arrow_schema=encode_schema(self.schema),
            files=self.files,
            state=self.state,
            rejected=tuple(self.rejected),
            bad_rows=self.bad_rows,
        )
