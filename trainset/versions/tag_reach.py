"""Every object that a tag needs to be read: what must stay, for the tag to stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from trainset.home import CONFIG, Home, is_outside
from trainset.stores.base import ObjectStore
from trainset.tables.lance_store import LanceTableStore
from trainset.versions.base import Snapshot
from trainset.versions.git import GitVersions
from trainset.versions.lakefs.store import LakeFSVersions
from trainset.versions.reach import find_commit_reach

_PACKS, _TAGS = "repo.git/objects/", "repo.git/refs/tags/"
_SERVERS = "_lakefs/"  # below a namespace: what the server keeps of its commits, never changed
_TEXT = pa.string()
_GENERATED = re.compile(r"[^:]+/([0-9a-f]{2})/\1[0-9a-f]{62}(?:\.\w+)?")


class Reached(NamedTuple):
    """One object; ``version_id`` None: the newest version."""

    store: ObjectStore
    key: str
    version_id: str | None = None


def reached_objects(home: Home, ref: str) -> Iterator[Reached]:
    """Media, generated media, tables, files, and what the version store keeps of the commit.

    Each once, but for media that two rows name with another version. A lakeFS server's own
    database, which knows its tags, lies elsewhere: back it up.
    """
    snapshot = home.versions.snapshot(ref)
    yield Reached(home.store, CONFIG)
    if isinstance(home.versions, GitVersions):
        yield from _of_git(home, home.versions, snapshot.commit.id)
    elif isinstance(home.versions, LakeFSVersions):
        yield from _of_lakefs(home, home.versions, snapshot.commit.id)
    yield from _media(home, snapshot)


def _of_git(home: Home, versions: GitVersions, commit: str) -> Iterator[Reached]:
    for path in sorted(find_commit_reach(versions, commit).paths):
        yield Reached(home.store, path)
    for prefix in (_PACKS, _TAGS):
        for info in home.store.list(prefix):
            yield Reached(home.store, info.key)


def _of_lakefs(home: Home, versions: LakeFSVersions, commit: str) -> Iterator[Reached]:
    for entry in versions.files(commit, where=f"commit {commit[:12]}").entries():
        yield Reached(*home.media_store(entry.address))
    namespace = str(versions.repository.namespace()).rstrip("/")
    store, prefix = home.media_store(f"{namespace}/{_SERVERS}")
    for info in store.list(prefix):
        yield Reached(store, info.key)


def _media(home: Home, snapshot: Snapshot) -> Iterator[Reached]:
    seen: set[tuple[str, str | None]] = set()
    tables = LanceTableStore()
    for name in snapshot.tables():
        table = tables.open(snapshot.table(name))
        names = table.schema.names
        generated = [
            n for n in names if f"{n}__fn" in names and table.schema.field(n).type == _TEXT
        ]
        sources = [n for n in ("uri", "version_id") if n in names] if "uri" in names else []
        for batch in table.scan([*sources, *generated]) if sources or generated else ():
            for uri, version_id in _uris(batch, sources, generated):
                if (uri, version_id) not in seen:
                    seen.add((uri, version_id))
                    store, key = home.media_store(uri)
                    # Inside the home the uri says the content: any version of it will do.
                    yield Reached(store, key, version_id if is_outside(uri) else None)


def _uris(
    batch: pa.RecordBatch, sources: list[str], generated: list[str]
) -> Iterator[tuple[str, str | None]]:
    if sources:
        uris = batch.column("uri").to_pylist()
        pins = batch.column("version_id").to_pylist() if len(sources) > 1 else [None] * len(uris)
        yield from ((uri, pin) for uri, pin in zip(uris, pins, strict=True) if uri)
    for name in generated:
        cells = batch.column(name).to_pylist()
        yield from ((cell, None) for cell in cells if cell and _GENERATED.fullmatch(cell))
