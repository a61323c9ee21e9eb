"""Media of a commit hashed again where they lie: all, or a sample drawn by a seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from trainset.errors import ChecksumMismatch, InputError
from trainset.stores.pinned import head_pinned

if TYPE_CHECKING:
    from trainset.dataset import Dataset

THREADS = 8
_PIECE = 4 * 2**20
_AT_ONCE = 10_000  # rows of media in memory
_OUTSIDE = r"^/|://"  # as home.is_outside
_COLUMNS = ["key", "uri", "version_id", "sha256", "size", "source_uri", "source_version"]


class Looked(NamedTuple):
    """One medium after the look: ``size`` bytes were hashed, None: it has no sha256 to compare."""

    key: str
    size: int | None
    error: InputError | None = None


def distinct_media(dataset: Dataset) -> pa.Array:
    """A row id for each content, in an order that hangs on the contents alone.

    Rows that share their bytes (uri, sha256 and, outside the home, pinned version) count once.
    """
    view = dataset.table("media").where("uri is not null")
    rows = view.select(["row_id", "uri", "version_id", "sha256"]).to_arrow()
    outside = pc.match_substring_regex(rows["uri"], _OUTSIDE)
    nothing = pa.scalar(None, pa.string())
    rows = rows.set_column(2, "version_id", pc.if_else(outside, rows["version_id"], nothing))
    by = ["uri", "version_id", "sha256"]
    found = rows.group_by(by).aggregate([("row_id", "min")])
    found = found.sort_by([(name, "ascending") for name in by])
    return found["row_id_min"].combine_chunks()


def draw(ids: pa.Array, sample: float | None, seed: int) -> pa.Array:
    """The row ids to look at, in their order.

    Args:
        sample: a share where it is less than 1, else how many; None: all. Never none of some.
    """
    if sample is None:
        return ids
    count = max(1, ceil(sample * len(ids)) if sample < 1 else int(sample))
    if count >= len(ids):
        return ids
    return ids.take(pa.array(sorted(random.Random(seed).sample(range(len(ids)), count))))


def look_at_media(
    dataset: Dataset, ids: pa.Array, progress: Callable[[int, int], None] | None = None
) -> Iterator[Looked]:
    """Hash the media of these rows, a few at once; one outside the home at its pinned version.

    Args:
        progress: called with media done and media in all.
    """
    table, done = dataset.open_table("media"), 0
    with ThreadPoolExecutor(THREADS, "verify-media") as pool:
        for start in range(0, len(ids), _AT_ONCE):
            rows = table.take(ids.slice(start, _AT_ONCE), _COLUMNS).read_all().sort_by("key")
            for looked in pool.map(lambda row: _look(dataset, row), rows.to_pylist()):
                done += 1
                yield looked
                if progress is not None:
                    progress(done, len(ids))


def _look(dataset: Dataset, row: Mapping[str, Any]) -> Looked:
    key, has_hash = row["key"], row["sha256"] is not None
    try:
        if has_hash:
            return Looked(key, _hash(dataset, row))
        _compare_facts(dataset, row)
        return Looked(key, None)
    except InputError as err:
        return Looked(key, 0 if has_hash else None, err)


def _hash(dataset: Dataset, row: Mapping[str, Any]) -> int:
    """Size of a medium that is what its row says; large ones are not held in memory."""
    digest, size = hashlib.sha256(), 0
    with dataset.home.open_media(row["uri"], row["version_id"]) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    if digest.hexdigest() != row["sha256"]:
        raise ChecksumMismatch(row["key"], expected=row["sha256"], found=digest.hexdigest())
    return size


def _compare_facts(dataset: Dataset, row: Mapping[str, Any]) -> None:
    """Check what is known of a medium without a sha256; no byte is read."""
    store, key = dataset.home.media_store(row["uri"])
    info = head_pinned(store, key, row["version_id"]).info
    in_place = row["uri"] == row["source_uri"]  # then the source's version is the object's own
    expected = (row["size"], row["source_version"] if in_place else info.version)
    if (info.size, info.version) != expected:
        raise InputError(
            f"{row['uri']}: {info.size} bytes of version {info.version}, the manifest says "
            f"{expected[0]} bytes of {expected[1]}; run the pipeline again to take up what is there"
        )
