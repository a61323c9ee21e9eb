"""Pins of reference mode that have come to nothing: the version that a row names is gone.

A listing shows sizes and ETags, and both stay as they were when the same bytes are written anew
and the version before expires. So the versions are listed too, a request per 1,000, and each
pinned one is ticked off.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from trainset.errors import NotFound, VersionGone
from trainset.stores.base import ReadStore
from trainset.stores.pinned import ETAG, MTIME, head_pinned
from trainset.transfer.base import Outcome, SourceFile

if TYPE_CHECKING:
    from trainset.stores.s3_list import ObjectVersion

REPINNED = "repinned"  # kind of an outcome that arrived

_TOGETHER = 1_024  # versions that are looked up at once
_COLUMNS = ("key", "version_id", "source_state")

# Reads all rows of the media table, some columns of it, in batches; twice gives the same rows.
Scan = Callable[[Sequence[str]], Iterable[pa.RecordBatch]]


def gone_pins(
    scan: Scan, source: str, versions: Callable[[], Iterable[tuple[str, ObjectVersion]]]
) -> Iterator[str]:
    """Keys of the rows of ``source`` whose pinned version is not there any more.

    Holds 9 bytes a pinned row. Where no row pins a version (the bucket keeps none), the versions
    are not listed. Two pins that share a 64-bit hash would hide a loss once in 2**64.

    Args:
        source: name of the `media:` entry.
        versions: lists (path in the source, version) of all objects.
    """
    hashes = (_hash(path, pin) for _, path, pin in _pinned(scan, source))
    wanted = np.unique(np.fromiter(hashes, np.uint64))
    if not len(wanted):
        return
    there = np.zeros(len(wanted), bool)
    listed = ((path, version.version_id) for path, version in versions())
    while some := list(islice(listed, _TOGETHER)):
        prints = np.array([_hash(path, pin) for path, pin in some], np.uint64)
        at = np.minimum(np.searchsorted(wanted, prints), len(wanted) - 1)
        there[at[wanted[at] == prints]] = True
    if there.all():
        return
    gone = set(wanted[~there].tolist())
    for key, path, pin in _pinned(scan, source):
        if _hash(path, pin) in gone:
            yield key


def told_anew(outcome: Outcome, before: Mapping[str, str], store: ReadStore) -> Outcome:
    """The outcome of an adopted file, saying so when another version was pinned before.

    Args:
        before: the rows' pins, by key.
    """
    old = before.get(outcome.file.key)
    if old is None or not outcome.arrived or old == outcome.version_id:
        return outcome
    said = f"pinned anew as {outcome.version_id}: {_became_of(old, outcome.file, store)}"
    reason = f"{outcome.reason}; {said}" if outcome.reason else said
    return outcome.model_copy(update={"kind": REPINNED, "reason": reason})


def _became_of(pin: str, file: SourceFile, store: ReadStore) -> str:
    if pin.startswith((ETAG, MTIME)):
        return f"what was pinned by {pin} was overwritten, and no old versions are kept there"
    try:
        head_pinned(store, file.path, pin)
    except (VersionGone, NotFound):
        return f"version {pin} has expired or was deleted, older commits cannot read it any more"
    return f"version {pin} was replaced at its source, and is kept there for older commits"


def _pinned(scan: Scan, source: str) -> Iterator[tuple[str, str, str]]:
    """(key, path, pin) of the source's rows that pin a version id."""
    start = f"{source}/"
    for batch in scan(_COLUMNS):
        rows = zip(*(batch[name].to_pylist() for name in _COLUMNS), strict=True)
        for key, pin, state in rows:
            named = pin and state != "missing" and not pin.startswith((ETAG, MTIME))
            if named and key.startswith(start):
                yield key, key[len(start) :], pin


def _hash(path: str, pin: str) -> int:
    digest = hashlib.blake2b(f"{path}\0{pin}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big")
