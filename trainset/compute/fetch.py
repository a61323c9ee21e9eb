"""Getting one medium's bytes, and finding out what its row does not say yet while at it.

A medium that was adopted unread (reference mode) has no sha256. The first read hashes it and looks
into it; the row gets both in the same commit as the cells that were computed from these bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from trainset.compute.plan import DueRow
from trainset.errors import ChecksumMismatch, MissingExtra
from trainset.home import Home, is_outside
from trainset.model import MediaFacts
from trainset.stores.pinned import head_pinned
from trainset.tables.base import Table
from trainset.tables.schema import MEDIA, finish_rows

IN_MEMORY_BYTES = 64 * 2**20  # larger media are read from a local file, piece by piece
_PIECE = 8 * 2**20
FILLED = ("sha256", "mime", "modality", "width", "height", "duration", "pages", "unreadable")


class Found(NamedTuple):
    """What the first read of a medium found out; ``facts`` None: a package to look is missing."""

    sha256: str
    facts: MediaFacts | None


class Fetched(NamedTuple):
    """A medium's bytes, or a local path for a large one; ``remove`` it afterwards.

    ``found`` is None where the row knew the sha256.
    """

    data: bytes | Path
    remove: Path | None
    found: Found | None


def fetch(home: Home, row: DueRow, scratch: Path) -> Fetched:
    """Read the medium of a row: just the version that the row names.

    Raises:
        ChecksumMismatch: bytes outside the home are not what the row says.
        TrainsetError: of the store; ``VersionGone`` where the pinned version is not there.
    """
    data, remove, digest = _read(home, row, scratch)
    if digest is not None and row.sha256 is not None and digest != row.sha256:
        if remove is not None:
            remove.unlink(missing_ok=True)
        raise ChecksumMismatch(row.key, expected=row.sha256, found=digest)
    if row.sha256 is not None:
        return Fetched(data, remove, None)
    assert digest is not None
    return Fetched(data, remove, Found(digest, _look(data, row.key)))


def _read(home: Home, row: DueRow, scratch: Path) -> tuple[bytes | Path, Path | None, str | None]:
    """Bytes or path, what to remove, and the sha256 where it is not the home's own content."""
    ours = row.sha256 is not None and not is_outside(row.uri)  # checked as it came in
    if row.size <= IN_MEMORY_BYTES:
        data = home.read_media(row.uri, row.version_id)
        return data, None, None if ours else hashlib.sha256(data).hexdigest()
    store, key = home.media_store(row.uri)
    local = store.local_path(key)
    if local is not None and ours:
        return local, None, None
    copy = scratch / hashlib.sha256(row.content.encode()).hexdigest()
    if ours:
        store.fetch_file(key, copy, sha256=row.sha256, durable=False)
        return copy, copy, None
    digest = hashlib.sha256()
    with home.open_media(row.uri, row.version_id) as source:
        if local is not None:  # lies here already: hashed, not copied
            while piece := source.read(_PIECE):
                digest.update(piece)
            head_pinned(store, key, row.version_id)  # not written to meanwhile
            return local, None, digest.hexdigest()
        with copy.open("wb") as out:
            while piece := source.read(_PIECE):
                digest.update(piece)
                out.write(piece)
    return copy, copy, digest.hexdigest()


def _look(data: bytes | Path, name: str) -> MediaFacts | None:
    from trainset.media.probe import probe_media

    try:
        return probe_media(data, name)
    except MissingExtra:
        return None


def found_columns(
    table: Table, fragment: int, ids: Sequence[str], found: Mapping[str, Found]
) -> dict[str, pa.Array]:
    """Columns that bring what was found out into the rows of ``ids``; the others keep theirs.

    Args:
        ids: N row ids of the fragment.
        found: by row id.
    Returns:
        sha256, facts and ``row_fp`` (which these are part of), N values each.
    """
    before = table.read_fragment(fragment, MEDIA.names)
    at = pc.index_in(pa.array(ids, pa.string()), value_set=before["row_id"].combine_chunks())
    before = before.take(at)
    rows = before.to_pylist()
    for row in rows:
        if (new := found.get(row["row_id"])) is not None:
            row["sha256"] = new.sha256
            row |= {} if new.facts is None else new.facts.model_dump()
    after = finish_rows("media", rows)
    changed = pa.array([id_ in found for id_ in ids])
    columns = {name: after[name].combine_chunks() for name in FILLED}
    prints = (after["row_fp"].combine_chunks(), before["row_fp"].combine_chunks())
    columns["row_fp"] = pc.if_else(changed, *prints)
    return columns
