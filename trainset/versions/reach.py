"""Which files of a home the git store still needs: of every ref, and of every run at work here."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from trainset.tables.base import Table, TableLocation
from trainset.versions.base import MAIN, Snapshot
from trainset.versions.history import all_ancestors, all_paths
from trainset.versions.refs import HEADS
from trainset.versions.tree import FILES, POINTERS, TABLES
from trainset.versions.workspace import find_records, read_record

if TYPE_CHECKING:
    from trainset.versions.git import GitVersions

_URI, _VERSION = "uri", "version_id"


@dataclass
class Reach:
    """What may not be removed.

    Attributes:
        commits: of all refs and work trees, with their ancestors, newest first.
        paths: of files in the home: table files, manifests, Parquet parts, small files.
        media: keys in the home that some row names.
        pins: (key, version id) of rows that name a version too.
    """

    commits: list[str] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    media: set[str] = field(default_factory=set)
    pins: set[tuple[str, str]] = field(default_factory=set)


def find_reach(versions: GitVersions) -> Reach:
    """Walk every commit, and read the uris of the rows in which commits differ.

    A bucket's runs on other machines are known by their refs only, once they have committed.
    """
    root = versions.home.state / "runs"
    folders = [root / name for name in find_records(root)]
    refs = versions.refs()
    records = [read_record(folder) or {} for folder in folders]
    tips = [*refs.values(), *(r.get(name) for r in records for name in ("base", "tip"))]
    reach = Reach(all_ancestors(versions.repository, [tip for tip in tips if tip]))
    manifests = all_paths(versions.repository, reach.commits, FILES.rstrip("/"))
    reach.paths = {path for path in manifests if path.startswith(TABLES)}
    reach.paths |= all_paths(versions.repository, reach.commits, POINTERS.rstrip("/"))
    # Of small files the home has copies, of main's newest only; commits keep their own.
    reach.paths |= versions.tree(refs.get(HEADS + MAIN)).small_files().keys()
    previous: dict[str, Table] = {}
    seen: set[tuple[str, int | None]] = set()
    for snapshot in versions.snapshots(reach.commits):
        _add_rows(versions, snapshot, previous, seen, reach)
    for folder in folders:
        _add_work_tree(versions, folder, reach)
    return reach


def find_commit_reach(versions: GitVersions, commit: str) -> Reach:
    """What one commit needs to be read: without its ancestors, and without runs at work."""
    reach, repository = Reach([commit]), versions.repository
    manifests = all_paths(repository, [commit], FILES.rstrip("/"))
    reach.paths = {path for path in manifests if path.startswith(TABLES)}
    reach.paths |= all_paths(repository, [commit], POINTERS.rstrip("/"))
    return reach


def _add_rows(
    versions: GitVersions,
    snapshot: Snapshot,
    previous: dict[str, Table],
    seen: set[tuple[str, int | None]],
    reach: Reach,
) -> None:
    for name in snapshot.tables():
        location = snapshot.table(name)
        if (location.uri, location.version) in seen:
            continue
        seen.add((location.uri, location.version))
        table = versions.tables.open(location)
        columns = _columns(table)
        if not columns:
            continue
        if (before := previous.get(name)) is None:
            rows = table.scan(columns).read_all()
        else:  # what lies at one place in both has one uri, which is known
            rows = table.unlike([before], ["row_id", *columns])[0].read_all()
        previous[name] = table
        _add_uris(versions, rows.to_batches(), reach)


def _add_work_tree(versions: GitVersions, folder: Path, reach: Reach) -> None:
    """Files that a run has made and perhaps uploaded, and media that its rows name."""
    for root in (folder, folder / "files" / "put"):
        for at, _, names in os.walk(root):
            reach.paths |= {Path(at, name).relative_to(root).as_posix() for name in names}
    for path in (folder / TABLES).glob("[!.]*"):
        location = TableLocation(str(path))
        if versions.tables.exists(location):
            table = versions.tables.open(location)
            if columns := _columns(table):
                _add_uris(versions, table.scan(columns), reach)


def _columns(table: Table) -> list[str]:
    """Columns that say where media lie; none: the table names no media."""
    names = table.schema.names
    return [name for name in (_URI, _VERSION) if name in names] if _URI in names else []


def _add_uris(versions: GitVersions, batches: Iterable[pa.RecordBatch], reach: Reach) -> None:
    inside = versions.home.store.uri("x").removesuffix("x")
    for batch in batches:
        keys = [uri and uri.removeprefix(inside) for uri in batch.column(_URI).to_pylist()]
        reach.media.update(key for key in keys if key)
        if _VERSION in batch.schema.names:
            versions_of = batch.column(_VERSION).to_pylist()
            reach.pins.update((k, v) for k, v in zip(keys, versions_of, strict=True) if k and v)
