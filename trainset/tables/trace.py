"""Gathers what a dataset knows of a file, by any of its names, for its story."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from trainset.errors import NotFound
from trainset.model import Commit, Frozen
from trainset.tables.lineage import CellLineage, fact_columns, trace_cells
from trainset.transfer.provenance import find_keys, read_events
from trainset.transfer.story import FileNow, Happening, build_story, files_now

if TYPE_CHECKING:
    from pathlib import Path

    from trainset.dataset import Dataset
    from trainset.tables.base import Table
    from trainset.transfer.ledger.base import Attempt, DeadLetter, Ledger

_NAMES = ("row_id", "key", "source_uri", "sha256", "uri")
_CLOSE_AMONG = 20_000  # keys that a misspelt name is compared with


class Trace(Frozen):
    """All that is known of the files that go by a name.

    Attributes:
        cells: computed cells of each row, by key.
    """

    asked: str
    commit: Commit
    files: tuple[FileNow, ...]
    story: tuple[Happening, ...]
    cells: dict[str, tuple[CellLineage, ...]]


def trace_file(dataset: Dataset, asked: str, ledger: Ledger | None = None) -> Trace:
    """Find a file by key, path, source uri, sha256, row id or uri, and tell its story.

    Reads the names of all provenance events reachable from the dataset's commit, and of the runs
    that made no commit; all of an event only where it is of this file.

    Args:
        asked: a name; when nothing has it, the end of a key or of a source uri: ``b.jpg`` finds
            ``cam/a/b.jpg``.
        ledger: of this machine or shared, for tries that no run has told of; None: there is none.
    Raises:
        NotFound: nothing goes by this name; close names are listed.
    """
    parts = list(_parts(dataset))
    media = dataset.open_table("media") if "media" in dataset.tables() else None
    letters = [] if ledger is None else list(ledger.dead_letters())
    uris = set() if ledger is None else set(ledger.files_of(asked))
    for endings in (False, True):
        matches = _matcher({asked} | uris, endings)
        rows = [] if media is None else _rows(media, matches)
        found = {row["key"] for row in rows}
        found |= {d.key for d in letters if _is_called(d, asked, endings)}
        for part in parts:
            found |= find_keys(part, {asked} | uris, endings=endings)
        if found:
            break
    else:
        raise NotFound(_not_found(dataset, asked, media))
    rows += [] if media is None else _rows_of(media, found - {row["key"] for row in rows})
    events = [event for part in parts for event in read_events(part, found)]
    letters = [letter for letter in letters if letter.key in found]
    sources = {e["source_uri"] for e in events} | {d.source_uri for d in letters}
    sources |= {row["source_uri"] for row in rows} - {None}
    parents = {id_ for e in events for id_ in e["parent_ids"] or ()}
    story = build_story(events, _attempts(ledger, sources), _keys_of(media, parents))
    return Trace(
        asked=asked,
        commit=dataset.commit,
        files=tuple(files_now(rows, story, letters)),
        story=tuple(story),
        cells={
            row["key"]: trace_cells(row["row_id"], media=media, functions=dataset.function)
            for row in rows
            if media is not None
        },
    )


def _parts(dataset: Dataset) -> Iterator[Path | bytes]:
    """Provenance parts of all runs: the commit's, those that a rollback took out, then others."""
    told: set[str] = set()
    for path in _parquet(dataset.snapshot.list("provenance/")):
        told.add(path.split("/")[1])
        yield dataset.snapshot.fetch(path)
    for commit in dataset.log():
        run_id = commit.metadata.get("run_id")
        if run_id and run_id not in told and commit.metadata.get("provenance"):
            told.add(run_id)
            snapshot = dataset.home.versions.snapshot(commit.id)
            for path in _parquet(snapshot.list(f"provenance/{run_id}/")):
                yield snapshot.fetch(path)
    store = dataset.home.store
    for key in _parquet(info.key for info in store.list("runs/")):
        if "/provenance/" in key:
            local = store.local_path(key)
            yield store.get(key) if local is None else local


def _parquet(paths: Iterable[str]) -> Iterator[str]:
    return (path for path in paths if path.endswith(".parquet"))


Matches = Callable[[str, pa.Array], pa.Array]


def _matcher(names: Collection[str], endings: bool) -> Matches:
    """A test of a column by name: which values are one of the names, or end with one."""
    values = pa.array(sorted(names), pa.string())

    def matches(column: str, found: pa.Array) -> pa.Array:
        mask = pc.is_in(found, values)
        if endings and column in ("key", "source_uri"):
            for name in names:
                ends = pc.fill_null(pc.ends_with(found, f"/{name}"), False)
                mask = pc.or_(mask, ends)
        return mask

    return matches


def _rows(media: Table, matches: Matches) -> list[dict[str, Any]]:
    keys: set[str] = set()
    for batch in media.scan(list(_NAMES)):
        for name in _NAMES:
            keys |= set(batch["key"].filter(matches(name, batch[name])).to_pylist())
    return _rows_of(media, keys)


def _rows_of(media: Table, keys: Collection[str]) -> list[dict[str, Any]]:
    if not keys:
        return []
    listed = ", ".join("'" + key.replace("'", "''") + "'" for key in sorted(keys))
    rows: list[dict[str, Any]] = (
        media.scan(fact_columns(media), where=f"key in ({listed})").read_all().to_pylist()
    )
    return rows


def _keys_of(media: Table | None, ids: Collection[str]) -> dict[str, str]:
    """Keys by row id; rows that are gone are not in it."""
    if media is None or not ids:
        return {}
    listed = ", ".join(f"'{id_}'" for id_ in sorted(ids))
    rows = media.scan(["row_id", "key"], where=f"row_id in ({listed})").read_all().to_pylist()
    return {row["row_id"]: row["key"] for row in rows}


def _is_called(letter: DeadLetter, asked: str, endings: bool) -> bool:
    names = (letter.key, letter.source_uri)
    return asked in names or (endings and any(name.endswith(f"/{asked}") for name in names))


def _attempts(ledger: Ledger | None, sources: Iterable[str]) -> Iterator[Attempt]:
    if ledger is not None:
        for source in sorted(sources):
            yield from ledger.attempts(source)


def _not_found(dataset: Dataset, asked: str, media: Table | None) -> str:
    keys: Iterable[str] = ()
    if media is not None:
        keys = (key for batch in media.scan(["key"]) for key in batch["key"].to_pylist())
    close = difflib.get_close_matches(asked, islice(keys, _CLOSE_AMONG), n=3, cutoff=0.5)
    near = f"; close names are {', '.join(close)}" if close else ""
    return (
        f"no run and no row of {dataset.ref} knows a file {asked!r}{near}; give a key, a path, a "
        "source uri, a row id or a whole sha256"
    )
