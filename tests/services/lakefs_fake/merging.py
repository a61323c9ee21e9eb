"""How two sets of entries differ, and three of them merge: by path, never inside a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.lakefs_fake.errors import Conflict
from services.lakefs_fake.tree import Entry


class Change(NamedTuple):
    kind: str  # added, changed, removed or conflict
    entry: Entry  # the new one; of a removed path the old one


def diff(left: Mapping[str, Entry], right: Mapping[str, Entry]) -> dict[str, Change]:
    """What leads from ``left`` to ``right``, sorted by path."""
    found = {}
    for path, entry in right.items():
        old = left.get(path)
        if old is None:
            found[path] = Change("added", entry)
        elif not entry.same(old):
            found[path] = Change("changed", entry)
    for path, entry in left.items():
        if path not in right:
            found[path] = Change("removed", entry)
    return dict(sorted(found.items()))


def three_way(
    base: Mapping[str, Entry], source: Mapping[str, Entry], target: Mapping[str, Entry]
) -> dict[str, Change]:
    """What a merge of ``source`` brings to ``target``: the source's changes since the base."""
    found = {}
    for path, change in diff(base, source).items():
        ours, theirs, old = source.get(path), target.get(path), base.get(path)
        if ours is theirs or (ours is not None and ours.same(theirs)):
            continue  # both sides did the same
        untouched = theirs is old or (theirs is not None and theirs.same(old))
        found[path] = change if untouched else Change("conflict", change.entry)
    return found


def merge(
    base: Mapping[str, Entry],
    source: Mapping[str, Entry],
    target: Mapping[str, Entry],
    strategy: str = "",
) -> dict[str, Entry]:
    """The target with the source's changes.

    Raises:
        Conflict: both changed a path, and ``strategy`` is neither source-wins nor dest-wins.
    """
    merged = dict(target)
    for path, change in three_way(base, source, target).items():
        if change.kind == "conflict":
            if not strategy:
                raise Conflict("conflict found")
            if strategy == "dest-wins":
                continue
        if path in source:
            merged[path] = source[path]
        else:
            merged.pop(path, None)
    return merged
