"""L2: a destination's listing against what must be there. Pure but for the listing it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from trainset.stores.held import Held, Version
from trainset.transfer.verify_report import Expected, ObjectFault, fault

# (start after this key) -> the listing from there.
Listing = Callable[[str], Iterator[Held]]

SKIP_AFTER = 1_000  # a page of a bucket


class Match(NamedTuple):
    """One expected file beside what the listing shows; without a file: a key nobody expects.

    ``held``: what the listing has of the key; None: nothing.
    """

    key: str
    id: int
    file: Expected | None
    fault: ObjectFault | None
    held: Held | None = None


def reconcile(
    expected: Iterable[tuple[str, int, Expected]], listing: Listing, *, whole: bool
) -> Iterator[Match]:
    """Merge two sides that are sorted by key; holds one item of each.

    Args:
        expected: (object key, id, file), ascending by the UTF-8 bytes of the object key; several
            files may share an object.
        listing: starts the destination's listing.
        whole: walk all of the listing and tell what nobody expects; else long stretches of that
            are skipped by starting the listing anew.
    """
    side = listing("")
    held = next(side, None)
    wanted: str | None = None
    skipped = ""
    for key, number, file in expected:
        passed = 0
        while held is not None and _order(held.key) < _order(key):
            if whole and held.key != wanted:
                yield Match(held.key, -1, None, None, held)
            passed += 1
            near = _order(held.key) >= _order(key[:-1])  # starting anew would lead back to here
            if not whole and passed >= SKIP_AFTER and skipped != key and not near:
                side, skipped = listing(key[:-1]), key
            held = next(side, None)
        wanted = key
        here = held if held is not None and held.key == key else None
        yield Match(key, number, file, judge_held(file, here), here)
    while whole and held is not None:
        if held.key != wanted:
            yield Match(held.key, -1, None, None, held)
        held = next(side, None)


def judge_held(file: Expected, held: Held | None) -> ObjectFault | None:
    """What is wrong with a file, by sizes, ETags and versions alone."""
    if held is None or not held.versions:
        return fault(file, "L2", "missing", "it is not in the listing of its destination")
    found = {version.version_id for version in held.versions}
    pinned = next((v for v in held.versions if v.version_id == file.version_id), None)
    knows_versions = file.version_id is not None and found != {None}
    if file.pinned and knows_versions:  # the version is what counts, hidden or not
        if pinned is None:
            said = f"version {file.version_id} is not there any more"
            return fault(file, "L2", "version-gone", said)
        return _differs(file, pinned)
    if held.hidden:
        return fault(file, "L2", "hidden", "a delete marker hides it")
    current = held.versions[0]
    wrong = _differs(file, current)
    if wrong is None and knows_versions and current.version_id != file.version_id:
        if file.etag:
            return None  # sent twice: the same bytes
        said = f"version {current.version_id} is current, version {file.version_id} was sent"
        return fault(file, "L2", "other-version", said)
    return wrong


def _differs(file: Expected, found: Version) -> ObjectFault | None:
    if found.size != file.size:
        said = f"it has {found.size:,} bytes, {file.size:,} were sent"
        return fault(file, "L2", "wrong-size", said)
    if file.etag and found.etag and found.etag != file.etag:
        said = f"its ETag is {found.etag}, the store gave {file.etag} when it was sent"
        return fault(file, "L2", "wrong-etag", said)
    return None


def _order(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
