"""Where synced records lie inside a commit, and how they are read back.

``meta/<source>/<stream>/`` holds ``part-<sync_id>-<hash>.parquet`` (rows, immutable),
``_quarantine/<sync_id>-<hash>.parquet`` (what was rejected, with the original),
``_manifest.json`` (which files are current) and ``_state.json`` (how far the source was read).
Only what the manifest names counts: readers never look for files by pattern.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from trainset.metadata.base import Rejected
from trainset.metadata.records import QUARANTINE, RECORDS
from trainset.model import Frozen

ROOT = "meta/"
MANIFEST = "_manifest.json"
STATE = "_state.json"


class CommitFiles(Protocol):
    """The reading half that a ``Workspace`` and a ``Snapshot`` share."""

    def read(self, path: str) -> bytes: ...

    def fetch(self, path: str) -> Path: ...

    def list(self, prefix: str = "") -> Sequence[str]: ...


class DataFile(Frozen):
    """One Parquet file that a manifest names; ``path`` is relative to the stream's folder."""

    path: str
    rows: int
    size: int
    sha256: str


class TableFacts(Frozen):
    """What a manifest says of a stream that holds table rows instead of records.

    Attributes:
        arrow_schema: columns in their order, less the system columns: base64 of Arrow's own form.
        generation: goes up when the table is read anew from nothing.
        options: hash of all that shapes the rows; another one makes a new generation.
    """

    arrow_schema: str
    key: tuple[str, ...] = ()
    cursor: str | None = None
    mode: str
    generation: int = 1
    options: str
    media_column: str | None = None

    @property
    def columns(self) -> pa.Schema:
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.arrow_schema)))


def encode_schema(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


class Manifest(Frozen):
    """``_manifest.json``: the current files of one stream."""

    format: str
    uri: str | None = None
    sync_id: str
    read_at: str
    rows: int
    quarantined: int
    files: tuple[DataFile, ...] = ()
    quarantine: tuple[DataFile, ...] = ()
    columns: dict[str, str]  # name -> Arrow type
    table: TableFacts | None = None  # None: the rows are records

    def encode(self) -> bytes:
        return encode(self.model_dump())


def encode(value: Any) -> bytes:
    """JSON as it lies in a commit: sorted and indented, so that a diff of it reads well."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def folder_of(source: str, stream: str) -> str:
    return f"{ROOT}{source}/{stream}/"


def streams_of(files: CommitFiles, source: str) -> list[str]:
    """Streams of a source that have something in the commit, ascending."""
    prefix = f"{ROOT}{source}/"
    return sorted({path[len(prefix) :].split("/", 1)[0] for path in files.list(prefix)})


def read_manifest(files: CommitFiles, source: str, stream: str) -> Manifest | None:
    path = folder_of(source, stream) + MANIFEST
    return Manifest.model_validate_json(files.read(path)) if path in files.list(path) else None


def read_state(files: CommitFiles, source: str, stream: str) -> dict[str, Any]:
    path = folder_of(source, stream) + STATE
    state: dict[str, Any] = json.loads(files.read(path)) if path in files.list(path) else {}
    return state


def manifests(
    files: CommitFiles, sources: Collection[str] | None = None
) -> Iterable[tuple[str, str, Manifest]]:
    """Source, stream and manifest of every stream, ascending; ``sources`` None: of all."""
    for path in files.list(ROOT):
        parts = path.split("/")
        if len(parts) == 4 and parts[3] == MANIFEST and (sources is None or parts[1] in sources):
            yield parts[1], parts[2], Manifest.model_validate_json(files.read(path))


def load_records(
    files: CommitFiles,
    sources: Collection[str] | None = None,
    *,
    rejected: list[tuple[str, Rejected]] | None = None,
) -> pa.Table:
    """All current records of all streams, in the schema ``RECORDS``.

    Args:
        files: a workspace or a snapshot.
        sources: names of the sources wanted; None: all that the commit holds.
        rejected: gets the rows of tables that are no labels, with the names of their sources.
    """
    tables = [RECORDS.empty_table()]
    for source, stream, manifest in manifests(files, sources):
        if manifest.table is not None:
            from trainset.metadata.tables.records import labels_of

            labels = labels_of(files, source, stream, manifest)
            tables.append(labels.records)
            if rejected is not None:
                rejected += [(source, item) for item in labels.rejected]
            continue
        for part in manifest.files:
            path = files.fetch(folder_of(source, stream) + part.path)
            tables.append(pq.read_table(path, partitioning=None).cast(RECORDS))
    return pa.concat_tables(tables)


def load_rejected(files: CommitFiles, source: str, stream: str) -> list[Rejected]:
    """What is quarantined in one stream now."""
    manifest = read_manifest(files, source, stream)
    found: list[Rejected] = []
    for part in manifest.quarantine if manifest else ():
        path = files.fetch(folder_of(source, stream) + part.path)
        rows = pq.read_table(path, schema=QUARANTINE, partitioning=None).to_pylist()
        found += [Rejected.model_validate(row) for row in rows]
    return found


def label_uris(files: CommitFiles) -> Mapping[tuple[str, str], str]:
    """Where each stream's label file lay when it was read, by (source, stream)."""
    return {(s, name): m.uri for s, name, m in manifests(files) if m.uri is not None}
