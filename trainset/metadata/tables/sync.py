"""One sync of one table into a workspace: rows, quarantine, manifest and state in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from trainset.identity import hash128
from trainset.metadata.base import Rejected, State
from trainset.metadata.store import (
    Manifest,
    TableFacts,
    encode_schema,
    folder_of,
    load_rejected,
    read_manifest,
    read_state,
)
from trainset.metadata.table_base import TableReader, TableSession
from trainset.metadata.tables.cast import NO_KEY
from trainset.metadata.tables.chunks import chunk_folder
from trainset.metadata.tables.compare import compare
from trainset.metadata.tables.contract import Evolution
from trainset.metadata.tables.delta import Delta
from trainset.metadata.tables.guard import check_misfits, check_vanished
from trainset.metadata.tables.live import live_keys
from trainset.metadata.tables.mapping import ColumnMapping
from trainset.metadata.tables.parts import LocalPart, with_system
from trainset.metadata.tables.quarantine import standing
from trainset.metadata.tables.upsert import Counts, Index
from trainset.metadata.tables.ways import Ways, choose_ways, decide_columns
from trainset.metadata.tables.write import StreamWriter
from trainset.spec_metadata import MetadataSource
from trainset.versions.base import Workspace


@dataclass(frozen=True)
class TableSync:
    """What one sync did to one table; ``manifest`` is how it stands afterwards."""

    manifest: Manifest
    changed: bool
    read: int = 0
    counts: Counts = field(default_factory=Counts)
    evolution: Evolution | None = None
    rejected: tuple[Rejected, ...] = ()


def sync_table(
    reader: TableReader,
    table: str,
    source: MetadataSource,
    workspace: Workspace,
    *,
    sync_id: str,
    now: datetime,
    stream: str | None = None,
    salt: bytes = b"",
    chunks: Path | None = None,
) -> TableSync:
    """Bring one table of the workspace up to date; nothing is written when nothing changed.

    Base rows and base state are those of the workspace, hence of the run's base commit.

    Args:
        stream: the folder of its rows; None: the table's name.
        salt: key of hashed columns.
        chunks: local folder that keeps what a killed first read had read; None: nothing does.
    Raises:
        ContractBroken: the contract, or the guard of deletes, refuses; the old rows stay.
        TransientError: try again; a first read goes on where it was.
    """
    sync = _Sync(source, table, stream or table, workspace, sync_id, now, salt)
    return sync.run(reader, chunks)


class _Sync:
    def __init__(
        self,
        source: MetadataSource,
        table: str,
        stream: str,
        workspace: Workspace,
        sync_id: str,
        now: datetime,
        salt: bytes,
    ) -> None:
        self.source, self.table, self.stream = source, table, stream
        self.workspace, self.sync_id, self.now = workspace, sync_id, now
        self.mapping = ColumnMapping(source.columns, source.where, salt)
        self.place, self.folder = f"{source.name}/{table}", folder_of(source.name, stream)
        base = read_manifest(workspace, source.name, stream)
        self.base = base if base and base.table else None  # else label records of another source
        self.held = self.base.table if self.base else None

    def run(self, reader: TableReader, chunks: Path | None) -> TableSync:
        # That the way of the sync has changed is certain only with the key that the source has.
        full = self.held is None or (self.source.mode or self.held.mode).startswith("full")
        with reader.open(self.table, full=full) as session:
            ways = self._ways(session)
            if full or not ways.anew:
                return self._synced(session, ways, chunks)
        with reader.open(self.table, full=True) as session:
            return self._synced(session, self._ways(session), chunks)

    def _ways(self, session: TableSession) -> Ways:
        return choose_ways(self.source, session.stream(), self.held, self.mapping, place=self.place)

    def _synced(self, session: TableSession, ways: Ways, chunks: Path | None) -> TableSync:
        if self.base and ways.appends and self.base.sync_id == self.sync_id:
            return TableSync(self.base, changed=False)  # an earlier try of this very sync did it
        state: State = {}
        if ways.incremental:
            state = read_state(self.workspace, self.source.name, self.stream)
        evolution = decide_columns(
            self.source,
            session.stream().columns,
            self.held,
            self.mapping,
            ways,
            place=self.place,
        )
        with chunk_folder(chunks) as (folder, lasts):
            delta = self._delta(folder, evolution.schema, ways, state, lasts=lasts)
            index = delta.read(session, state)
            live = None
            if delta.resumed or (ways.incremental and not session.unchanged):
                live = live_keys(
                    session,
                    ways,
                    evolution.schema,
                    self.mapping,
                    self.source.deletes,
                    always=delta.resumed,  # what it had read before the kill may be gone since
                    place=self.place,
                )
            return self._store(evolution, delta, index, ways, live, state)

    def _delta(
        self, folder: Path, schema: pa.Schema, ways: Ways, state: State, *, lasts: bool
    ) -> Delta:
        # What a filter takes out leaves no part behind, and a history wants every row once.
        goes_on = lasts and bool(ways.key) and not ways.appends and self.source.where is None
        base = self.base.sync_id if self.base else None
        began = [self.source.from_, self.table, ways.options, base, dict(state)]
        return Delta(
            folder,
            schema,
            mapping=self.mapping,
            key=ways.key,
            cursor=ways.cursor,
            stream=self.stream,
            sync_id=self.sync_id,
            now=self.now,
            token=hash128(began) if goes_on else None,
        )

    def _store(
        self,
        evolution: Evolution,
        delta: Delta,
        index: Index,
        ways: Ways,
        live: pa.Array | None,
        state: State,
    ) -> TableSync:
        same_columns = self.held is not None and self.held.columns.equals(evolution.schema)
        old = load_rejected(self.workspace, self.source.name, self.stream) if self.base else []
        if self.base and same_columns and ways.incremental and live is None and delta.is_empty:
            self._check_misfits(old, self.base.rows)  # that the spec allows may have changed
            return self._as_it_was(self.base, delta, ways, state, old)
        columns, stored = with_system(evolution.schema), self._stored_parts()
        compared = compare(
            ways,
            [(part.path, part.file.rows) for part in stored],
            columns,
            index,
            live=live,
            same_columns=same_columns,
        )
        base_rows = sum(part.file.rows for part in stored)
        check_vanished(compared.counts.vanished, base_rows, self.source, self.place)
        parts = compared.parts(stored, delta.parts, index.gone)
        kept = old if ways.incremental or ways.appends else []
        rejected = standing(
            kept, delta.rejected, [(p.path, m) for p, m in parts], columns, ways.key
        )
        rows = sum(int(mask.sum()) for _, mask in parts)
        self._check_misfits(rejected, rows)
        same = not compared.touched and same_columns and set(rejected) == set(old)
        if self.base and same and not ways.anew:
            return self._as_it_was(self.base, delta, ways, state, old)
        writer = self._writer(delta)
        files = writer.put_rows(parts, columns, ordered=ways.appends)
        generation = self.held.generation if self.held else 0
        if generation == 0 or ways.anew or ways.mode == "full-overwrite":
            generation += 1
        manifest = Manifest(
            format="table",
            sync_id=self.sync_id,
            read_at=self.now.isoformat(),
            rows=rows,
            quarantined=len(rejected),
            files=files,
            quarantine=writer.put_quarantine(rejected),
            columns={f.name: str(f.type) for f in columns},
            table=TableFacts(
                arrow_schema=encode_schema(evolution.schema),
                key=ways.key,
                cursor=ways.cursor,
                mode=ways.mode,
                generation=generation,
                options=ways.options,
                media_column=self.source.media_column,
            ),
        )
        writer.put_state(state if delta.state is None else delta.state)
        writer.put_manifest(manifest)  # last: it makes them true
        return TableSync(manifest, True, delta.rows, compared.counts, evolution, tuple(rejected))

    def _as_it_was(
        self, base: Manifest, delta: Delta, ways: Ways, state: State, old: Sequence[Rejected]
    ) -> TableSync:
        """No row changed; when rows came again as they are, the state saves them a third time."""
        if ways.incremental and delta.state is not None and delta.state != state:
            self._writer(delta).put_state(delta.state)
        return TableSync(base, changed=False, read=delta.rows, rejected=tuple(old))

    def _check_misfits(self, rejected: Sequence[Rejected], rows: int) -> None:
        keyless = sum(item.kind == NO_KEY for item in rejected)
        check_misfits(rejected, rows + keyless, self.source, self.place)

    def _writer(self, delta: Delta) -> StreamWriter:
        return StreamWriter(self.workspace, self.folder, delta.folder, self.sync_id)

    def _stored_parts(self) -> list[LocalPart]:
        files = self.base.files if self.base else ()
        return [LocalPart(self.workspace.fetch(self.folder + file.path), file) for file in files]
