"""One sync of one table into a workspace: rows, quarantine, manifest and state in one commit."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from trainset.errors import InputError
from trainset.identity import hash128
from trainset.metadata.base import Rejected
from trainset.metadata.parts import ParquetPart
from trainset.metadata.records import QUARANTINE
from trainset.metadata.store import (
    MANIFEST,
    STATE,
    DataFile,
    Manifest,
    TableFacts,
    encode,
    encode_schema,
    folder_of,
    load_rejected,
    read_manifest,
    read_state,
)
from trainset.metadata.table_base import TableReader, TableSession, TableStream
from trainset.metadata.tables.cast import cast_values, plain_table
from trainset.metadata.tables.contract import ContractBroken, Evolution, evolve, plain_schema
from trainset.metadata.tables.delta import Delta
from trainset.metadata.tables.hashes import key_array
from trainset.metadata.tables.mapping import ColumnMapping
from trainset.metadata.tables.parts import (
    PartWriter,
    has_types,
    keys_and_hashes,
    same_rows,
    with_system,
)
from trainset.metadata.tables.upsert import Counts, Index, Mask, Upsert, newest, news
from trainset.spec_metadata import MetadataSource
from trainset.versions.base import Workspace

SMALL = 10  # rows: fewer bad or vanished ones never stop a sync, whatever share of a table they are
MANY_PARTS, READ_SMALL = 32, 25_000  # then parts below so many rows are joined


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
    table: TableStream,
    source: MetadataSource,
    workspace: Workspace,
    *,
    sync_id: str,
    now: datetime,
    salt: bytes = b"",
    folder_name: str | None = None,
) -> TableSync:
    """Bring one table of the workspace up to date; nothing is written when nothing changed.

    Base rows and base state are those of the workspace, hence of the run's base commit.

    Args:
        salt: key of hashed columns.
        folder_name: the stream's folder; None: the table's name.
    Raises:
        ContractBroken: the contract, or the guard of deletes, refuses; the old rows stay.
        TransientError: try again; what was read of a first read is taken up.
    """
    name = folder_name or table.name
    return _Sync(reader, table, source, workspace, name, sync_id, now, salt).run()


class _Sync:
    def __init__(
        self,
        reader: TableReader,
        table: TableStream,
        source: MetadataSource,
        workspace: Workspace,
        name: str,
        sync_id: str,
        now: datetime,
        salt: bytes,
    ) -> None:
        self.reader, self.source, self.workspace = reader, source, workspace
        self.table, self.name, self.sync_id, self.now = table, name, sync_id, now
        self.folder = folder_of(source.name, name)
        self.mapping = ColumnMapping(source.columns, source.where, salt)
        self.base = read_manifest(workspace, source.name, name)
        self.place = f"{source.name}/{table.name}"
        self.key = self.mapping.names(source.key or table.key)
        held = self.base.table if self.base else None
        if held and held.key and not self.key:
            raise ContractBroken(
                f"{self.place}: its key ({', '.join(held.key)}) is gone; bring the primary key "
                "back, or name the columns in the spec (key:)"
            )
        cursor = source.cursor or table.cursor
        self.cursor = None if cursor is None else self.mapping.name(cursor)
        self.mode = source.mode or ("incremental-upsert" if self.key else "full-overwrite")
        if self.mode == "incremental-upsert" and not self.key:
            raise InputError(
                f"{self.place}: incremental-upsert needs a key; name its columns (key:), or choose "
                "mode: incremental-append or full-overwrite"
            )
        check = "" if not salt else hash128(["salt", salt.hex()])[:4]  # too short to try salts on
        rules = {n: r.model_dump() for n, r in source.columns.items()}
        self.options = hash128([rules, source.where, self.key, self.mode, self.cursor, check])
        self.appends = self.mode.endswith("append")
        self.anew = held is None or held.options != self.options
        self.held = held if held is not None and (self.appends or not self.anew) else None

    def run(self) -> TableSync:
        if self.base and self.appends and self.base.sync_id == self.sync_id:
            return TableSync(self.base, changed=False)  # an earlier try of this very sync did it
        full = self.mode.startswith("full") or self.anew
        state = {} if full else read_state(self.workspace, self.source.name, self.name)
        with self.reader.open(self.table.name, full=full) as session:
            found = self.mapping.map(plain_schema(session.stream().columns).empty_table()).schema
            evolution = evolve(
                self.held.columns if self.held else None,
                found,
                self.source.contract,
                needed=[*self.key, *([self.cursor] if self.cursor else [])],
                place=self.place,
            )
            delta = self._delta(evolution.schema, state)
            try:
                for batch in session.read(delta.take_up() or state):
                    delta.add(batch)
                index = delta.finish()
                live = self._live(session, evolution.schema)
                return self._store(evolution, delta, index, live, state)
            except InputError:
                self._tidy(self.base)
                raise

    def _delta(self, schema: pa.Schema, state: dict[str, Any]) -> Delta:
        token = hash128([self.options, self.base.sync_id if self.base else None, state])
        return Delta(
            self.workspace,
            self.folder,
            schema,
            mapping=self.mapping,
            key=self.key,
            cursor=self.cursor,
            stream=self.name,
            sync_id=self.sync_id,
            now=self.now,
            token=token,
        )

    def _live(self, session: TableSession, schema: pa.Schema) -> pa.Array | None:
        """Keys of the rows that the source has, as stored; None when deletes are not looked for."""
        wanted = self.source.deletes
        if self.mode != "incremental-upsert" or wanted == "ignore" or session.unchanged:
            return None
        scan = session.live_keys()
        if scan is None and wanted is None:
            return None
        if scan is None:
            raise InputError(
                f"{self.place}: deletes: detect needs a source that can list its keys, and this "
                "one cannot; say deletes: ignore, or mode: full-overwrite"
            )
        found = [key_array(schema.empty_table(), self.key)]
        for keys in scan:
            rows = self.mapping.map(plain_table(keys))
            columns = [cast_values(rows[n], schema.field(n).type)[0] for n in self.key]
            found.append(key_array(pa.table(columns, names=list(self.key)), self.key))
        return pa.concat_arrays(found)

    def _store(
        self,
        evolution: Evolution,
        delta: Delta,
        index: Index,
        live: pa.Array | None,
        state: dict[str, Any],
    ) -> TableSync:
        base_files = self.base.files if self.base else ()
        dead, kept, counts = self._compare(evolution, base_files, index, live)
        base_rows = sum(file.rows for file in base_files)
        if counts.vanished > max(SMALL, self.source.max_deleted * base_rows):
            raise ContractBroken(
                f"{self.place}: {counts.vanished} of {base_rows} rows are gone from the source, "
                f"more than max_deleted ({self.source.max_deleted:.0%}); look at the source, and "
                "if it is right, say max_deleted: 100% for one run"
            )
        rows = sum(int((~mask).sum()) for mask in dead) + int(kept.sum())
        rejected = self._quarantine(delta, index)
        limit = max(SMALL, self.source.contract.max_quarantined * max(rows, delta.rows))
        if delta.bad_rows > limit:
            first = delta.rejected[0]
            raise ContractBroken(
                f"{self.place}: {delta.bad_rows} of {delta.rows} rows read do not fit (first: "
                f"{first.record}: {first.reason}); mend them, say contract: widen, or raise "
                "contract: {max_quarantined: …}"
            )
        same_columns = self.held is not None and self.held.columns.equals(evolution.schema)
        touched = bool(kept.any()) or any(mask.any() for mask in dead)
        old = load_rejected(self.workspace, self.source.name, self.name) if self.base else []
        if self.base and not touched and same_columns and not self.anew and rejected == old:
            self._tidy(self.base)
            return TableSync(self.base, changed=False, read=delta.rows, rejected=tuple(old))
        files = self._write(evolution, delta, base_files, dead, index, kept)
        manifest = self._manifest(evolution, files, rejected)
        self.workspace.write(
            self.folder + STATE, encode(delta.state if delta.state is not None else state)
        )
        self.workspace.write(self.folder + MANIFEST, manifest.encode())  # last: it makes them true
        self._tidy(manifest)
        return TableSync(manifest, True, delta.rows, counts, evolution, tuple(rejected))

    def _compare(
        self,
        evolution: Evolution,
        base_files: tuple[DataFile, ...],
        index: Index,
        live: pa.Array | None,
    ) -> tuple[list[Mask], Mask, Counts]:
        """Dead rows of each base part, and the rows of the delta that are stored."""
        none = [np.zeros(file.rows, bool) for file in base_files]
        schema = with_system(evolution.schema)
        read = [self.folder + file.path for file in base_files]
        if self.mode == "full-append":
            return none, ~index.gone, Counts(added=int((~index.gone).sum()))
        if self.mode == "incremental-append":
            last: dict[object, int] = {}
            for path in read if self.key else ():
                keys, hashes = keys_and_hashes(self.workspace, path, schema, self.key)
                if keys is not None:
                    last |= zip(keys.to_pylist(), hashes.tolist(), strict=True)
            kept = news(index, last) if self.key else ~index.gone
            return none, kept, Counts(added=int(kept.sum()))
        if self.mode == "full-overwrite" or self.anew:
            kept = newest(index) & ~index.gone
            if not self.anew and not evolution.widened and not evolution.added:
                old = [keys_and_hashes(self.workspace, path, schema, ())[1] for path in read]
                if same_rows(np.concatenate([np.empty(0, np.uint64), *old]), index.hashes[kept]):
                    return none, np.zeros(len(index), bool), Counts()
            return [~mask for mask in none], kept, Counts(added=int(kept.sum()))
        upsert = Upsert(index, live)
        dead = []
        for path, mask in zip(read, none, strict=True):
            keys, hashes = keys_and_hashes(self.workspace, path, schema, self.key)
            dead.append(mask if keys is None else upsert.dead(keys, hashes))
        return dead, upsert.kept(), upsert.counts

    def _write(
        self,
        evolution: Evolution,
        delta: Delta,
        base_files: tuple[DataFile, ...],
        dead: list[Mask],
        index: Index,
        kept: Mask,
    ) -> tuple[DataFile, ...]:
        """Parts of now: those that nothing touched as they are, the others written anew."""
        schema = with_system(evolution.schema)
        writer = PartWriter(self.workspace, self.folder, schema, f"part-{self.sync_id}-r")
        in_parts = kept[~index.gone]  # rows that are gone lie in no part
        bounds = np.cumsum([0, *(file.rows for file in delta.files)])
        parts = [(f, ~mask) for f, mask in zip(base_files, dead, strict=True)]
        parts += [(f, in_parts[bounds[i] : bounds[i + 1]]) for i, f in enumerate(delta.files)]
        live = sum(bool(mask.any()) for _, mask in parts)
        compact = live > MANY_PARTS and not self.appends
        files: list[DataFile] = []
        for file, mask in parts:
            if not mask.any():
                continue
            path = self.folder + file.path
            small = compact and file.rows < READ_SMALL
            if mask.all() and not small and has_types(self.workspace, path, schema):
                files.append(file)
            else:
                if self.appends:
                    writer.flush()  # keeps the order of a history
                before = len(writer.files)
                writer.add_part(path, mask)
                if self.appends:
                    writer.flush()
                    files += writer.files[before:]
        writer.close()
        return tuple(files) if self.appends else tuple(files + writer.files)

    def _quarantine(self, delta: Delta, index: Index) -> list[Rejected]:
        """What is set aside now: of rows that were read again, only what this sync found."""
        old: list[Rejected] = []
        incremental = not self.anew and self.mode != "full-overwrite"
        if self.base and incremental:
            old = load_rejected(self.workspace, self.source.name, self.name)
            if len(self.key) == 1 and old:
                again = {f"{self.key[0]}={key}" for key in index.key.to_pylist()}
                old = [item for item in old if item.record not in again]
        found = {(r.record, r.kind, r.reason, r.original): r for r in (*old, *delta.rejected)}
        return list(found.values())

    def _manifest(
        self, evolution: Evolution, files: tuple[DataFile, ...], rejected: list[Rejected]
    ) -> Manifest:
        generation = self.base.table.generation if self.base and self.base.table else 0
        if generation == 0 or (self.anew or self.mode == "full-overwrite"):
            generation += 1
        with tempfile.TemporaryDirectory(prefix="trainset-sync-") as scratch:
            part = ParquetPart(Path(scratch) / "quarantine.parquet", QUARANTINE)
            part.add(pa.Table.from_pylist([r.model_dump() for r in rejected], QUARANTINE))
            quarantine = part.close(f"_quarantine/{self.sync_id}")
            for file, local in zip(quarantine, part.made, strict=True):
                self.workspace.put_file(self.folder + file.path, local)
        return Manifest(
            format="table",
            sync_id=self.sync_id,
            read_at=self.now.isoformat(),
            rows=sum(file.rows for file in files),
            quarantined=len(rejected),
            files=files,
            quarantine=quarantine,
            columns={f.name: str(f.type) for f in with_system(evolution.schema)},
            table=TableFacts(
                arrow_schema=encode_schema(evolution.schema),
                key=self.key,
                cursor=self.cursor,
                mode=self.mode,
                generation=generation,
                options=self.options,
                media_column=self.source.media_column,
            ),
        )

    def _tidy(self, manifest: Manifest | None) -> None:
        """Remove what the manifest does not name: replaced parts, and what a try left."""
        current = {MANIFEST, STATE} if manifest else set()
        if manifest:
            current |= {file.path for file in manifest.files + manifest.quarantine}
        for path in self.workspace.list(self.folder):
            if path.removeprefix(self.folder) not in current:
                self.workspace.remove(path)
