"""One sync of one metadata source into a workspace: read what changed, write rows and state.

Rows, quarantine and state are written to the same workspace, hence stand in the same commit: a
rollback or a branch moves all of them, and nothing on the worker's disk is ever asked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pydantic import Field

from trainset.errors import InputError
from trainset.metadata.base import Batch, Reader, Rejected, Stream
from trainset.metadata.kept import kept_records, kept_rejected
from trainset.metadata.parts import ParquetPart
from trainset.metadata.records import QUARANTINE, RECORDS
from trainset.metadata.store import (
    MANIFEST,
    STATE,
    Manifest,
    encode,
    folder_of,
    load_rejected,
    read_manifest,
    read_state,
    streams_of,
)
from trainset.model import Frozen, LeftOut
from trainset.spec import MetadataSource
from trainset.stores.urls import safe_url
from trainset.versions.base import Workspace


class SyncReport(Frozen):
    """What one sync did, and how its source stands afterwards."""

    source: str
    rows: int = Field(default=0, description="records of all streams after this sync")
    new_rows: int = Field(default=0, description="records in the streams that were read")
    quarantined: int = Field(default=0, description="records set aside, after this sync")
    read: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    vanished: tuple[str, ...] = Field(default=(), description="streams dropped: their file is gone")
    failed: tuple[str, ...] = Field(default=(), description="streams kept as they were")
    rejected: tuple[Rejected, ...] = Field(
        default=(), description="records set aside (original kept), and files that cannot be used"
    )
    label_uris: dict[str, str] = Field(default_factory=dict, description="stream -> label file")
    notes: tuple[str, ...] = Field(default=(), description="changes of tables, for the log")

    @property
    def changed(self) -> bool:
        return bool(self.read or self.vanished)


class Tally:
    """A ``SyncReport`` that is being counted; for tables and for files."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.rows = self.new_rows = self.quarantined = 0
        self.read: list[str] = []
        self.unchanged: list[str] = []
        self.vanished: list[str] = []
        self.failed: list[str] = []
        self.rejected: list[Rejected] = []
        self.label_uris: dict[str, str] = {}
        self.notes: list[str] = []

    def keep(self, workspace: Workspace, stream: str) -> None:
        """Count a stream as the workspace has it."""
        if (manifest := read_manifest(workspace, self.source, stream)) is not None:
            self.rows += manifest.rows
            self.quarantined += manifest.quarantined
            self.rejected += load_rejected(workspace, self.source, stream)
            if manifest.uri is not None:
                self.label_uris.setdefault(stream, manifest.uri)

    def fail(self, stream: str, where: str, error: InputError) -> None:
        self.failed.append(stream)
        self.rejected.append(
            Rejected(
                stream=stream,
                record=where,
                kind="unreadable-source",
                reason=str(error),
                original="",
            )
        )

    def report(self) -> SyncReport:
        return SyncReport(
            source=self.source,
            rows=self.rows,
            new_rows=self.new_rows,
            quarantined=self.quarantined,
            read=tuple(self.read),
            unchanged=tuple(self.unchanged),
            vanished=tuple(self.vanished),
            failed=tuple(self.failed),
            rejected=tuple(self.rejected),
            label_uris=self.label_uris,
            notes=tuple(self.notes),
        )


def sync_source(
    reader: Reader, source: MetadataSource, workspace: Workspace, *, sync_id: str, now: datetime
) -> SyncReport:
    """Bring a source's streams in the workspace up to date; write nothing where nothing changed.

    A stream that cannot be read keeps the rows of the last good sync and is reported. A stream
    whose file is gone is dropped and reported; when there is no label file left at all, streams are
    kept, because that is what an unmounted disk looks like.

    Args:
        sync_id: names the files that are written; the run id does.
        now: goes into the manifest.
    Raises:
        TransientError: try again; the workspace holds whole streams only, old or new.
    """
    tally = Tally(source.name)
    held = streams_of(workspace, source.name)
    try:
        reader.check()
        streams = reader.discover()
    except InputError as error:
        tally.fail(source.name, _place(source), error)
        for name in held:
            tally.keep(workspace, name)
        return tally.report()

    for stream in streams:
        if stream.unread is None:
            _sync_stream(reader, stream, workspace, tally, sync_id=sync_id, now=now)
        else:
            tally.fail(stream.name, stream.uri or stream.name, InputError(stream.unread))
    covered = {name for stream in streams for name in stream.covers}
    gone = [n for n in held if n not in {s.name for s in streams} | covered]
    for name in covered.intersection(held):  # the file is there but no longer makes sense
        tally.keep(workspace, name)
    if not streams and not held:
        tally.fail(source.name, _place(source), _nothing_there(source))
    elif gone and not any(stream.unread is None for stream in streams):
        tally.fail(source.name, _place(source), _all_gone(source, gone))
        for name in gone:
            tally.keep(workspace, name)
    else:
        for name in gone:
            drop_stream(workspace, source.name, name)
            tally.vanished.append(name)
    return tally.report()


def drop_unlisted(workspace: Workspace, keep: Iterable[str]) -> tuple[str, ...]:
    """Drop what the workspace holds of sources that the spec no longer has; returns their names."""
    names = {path.split("/")[1] for path in workspace.list("meta/")} - set(keep)
    for name in names:
        for stream in streams_of(workspace, name):
            drop_stream(workspace, name, stream)
    return tuple(sorted(names))


def left_out_of_sync(report: SyncReport) -> list[LeftOut]:
    """What a source could not give, one item a record or file, for the run's list."""
    return [_left_out(report.source, item) for item in report.rejected]


def _left_out(source: str, item: Rejected) -> LeftOut:
    if item.kind == "unreadable-source":
        key = source if item.stream == source else f"{source}/{item.stream}"
        return LeftOut(key=key, stage="metadata", kind=item.kind, reason=item.reason)
    return LeftOut(
        key=f"{source}/{item.stream}#{item.record}",
        stage="metadata",
        kind="quarantined",
        reason=f"{item.reason} ({item.kind}); the original is kept in "
        f"{folder_of(source, item.stream)}_quarantine/; mend it at its source",
    )


def _sync_stream(
    reader: Reader,
    stream: Stream,
    workspace: Workspace,
    tally: Tally,
    *,
    sync_id: str,
    now: datetime,
) -> None:
    name = stream.name
    if stream.uri is not None:
        tally.label_uris[name] = stream.uri
    state = read_state(workspace, tally.source, name)
    with tempfile.TemporaryDirectory(prefix="trainset-sync-") as scratch:
        part = ParquetPart(Path(scratch) / "part.parquet", RECORDS)
        quarantine = ParquetPart(Path(scratch) / "quarantine.parquet", QUARANTINE)
        rejected: list[Rejected] = []
        last: Batch | None = None
        try:
            for last in reader.read(name, state):
                part.add(last.records)
                rejected += last.rejected
        except InputError as error:
            tally.fail(name, stream.uri or name, error)
            tally.keep(workspace, name)
            return
        if last is None:
            tally.unchanged.append(name)
            tally.keep(workspace, name)
            return
        if last.replaces is not None:  # the other files' rows stay, behind those read now
            for table in kept_records(workspace, tally.source, name, last.replaces):
                part.add(table)
            rejected += kept_rejected(workspace, tally.source, name, last.replaces)
        quarantine.add(pa.Table.from_pylist([r.model_dump() for r in rejected], QUARANTINE))
        manifest = Manifest(
            format=str(last.state.get("format") or stream.format),
            uri=stream.uri,
            sync_id=sync_id,
            read_at=now.isoformat(),
            rows=part.rows,
            quarantined=len(rejected),
            files=part.close(f"part-{sync_id}"),
            quarantine=quarantine.close(f"_quarantine/{sync_id}"),
            columns={field.name: str(field.type) for field in RECORDS},
        )
        folder = folder_of(tally.source, name)
        present = set(workspace.list(folder))
        for file, local in zip(
            manifest.files + manifest.quarantine, part.made + quarantine.made, strict=True
        ):
            if folder + file.path not in present:  # there: a killed try of this sync wrote it
                workspace.put_file(folder + file.path, local)
        workspace.write(folder + MANIFEST, manifest.encode())
        workspace.write(folder + STATE, encode(last.state))
        current = {f.path for f in manifest.files + manifest.quarantine} | {MANIFEST, STATE}
        for path in present - {folder + path for path in current}:
            workspace.remove(path)
    tally.read.append(name)
    tally.rows += manifest.rows
    tally.new_rows += manifest.rows
    tally.quarantined += len(rejected)
    tally.rejected += rejected


def drop_stream(workspace: Workspace, source: str, stream: str) -> None:
    for path in workspace.list(folder_of(source, stream)):
        workspace.remove(path)


def _place(source: MetadataSource) -> str:
    """``from`` as it may be shown."""
    return safe_url(source.from_) if "://" in source.from_ else source.from_


def _nothing_there(source: MetadataSource) -> InputError:
    return InputError(f"{_place(source)} holds no label files; mend 'from' of {source.name!r}")


def _all_gone(source: MetadataSource, gone: list[str]) -> InputError:
    return InputError(
        f"{_place(source)} holds no label files any more (it had {len(gone)}); their rows are "
        f"kept: bring the files back, or take {source.name!r} out of the spec"
    )
