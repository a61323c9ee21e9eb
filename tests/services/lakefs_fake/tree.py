"""Paths and their entries: what a commit holds, what a branch shows, and pages of it."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

_LAST = "\U0010ffff"  # sorts behind every other character


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: where its bytes are, and what is said of them."""

    address: str
    checksum: str
    size: int
    mtime: int  # seconds
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[object, ...]:
        """What a merge compares: the address and the time do not count."""
        said = tuple(sorted(self.metadata.items()))
        return self.checksum, self.size, self.content_type, said

    def same(self, other: Entry | None) -> bool:
        return self is other or (other is not None and self.identity == other.identity)


class Tree:
    """The entries of one commit; never changed."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries

    @cached_property
    def id(self) -> str:
        """Equal for the same entries, addresses and times included."""
        total = sum(
            hash((path, entry.identity, entry.address, entry.mtime))
            for path, entry in self.entries.items()
        )
        return hashlib.sha256(str(total).encode()).hexdigest()

    @cached_property
    def paths(self) -> list[str]:
        return sorted(self.entries)


class Staged:
    """What was written to a branch since its last commit; None marks a deleted path."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry | None] = {}
        self._paths: list[str] | None = None

    def set(self, path: str, entry: Entry | None) -> None:
        if path not in self.entries:
            self._paths = None
        self.entries[path] = entry

    def drop(self, fits: Callable[[str], bool]) -> None:
        self.entries = {path: e for path, e in self.entries.items() if not fits(path)}
        self._paths = None

    @property
    def paths(self) -> list[str]:
        if self._paths is None:
            self._paths = sorted(self.entries)
        return self._paths


class View:
    """A commit with what is staged over it, as a reader of the branch sees it."""

    def __init__(self, tree: Tree, staged: Staged | None = None) -> None:
        self.tree = tree
        self.staged = staged or Staged()

    def get(self, path: str) -> Entry | None:
        if path in self.staged.entries:
            return self.staged.entries[path]
        return self.tree.entries.get(path)

    def first_from(self, position: str) -> str | None:
        """The first path that is not before ``position``."""
        while True:
            found = [
                paths[at]
                for paths in (self.tree.paths, self.staged.paths)
                if (at := bisect_left(paths, position)) < len(paths)
            ]
            if not found:
                return None
            if self.get(path := min(found)) is not None:
                return path
            position = path + "\0"

    def entries(self) -> dict[str, Entry]:
        merged = {**self.tree.entries, **self.staged.entries}
        return {path: entry for path, entry in merged.items() if entry is not None}


class Listed(NamedTuple):
    name: str
    group: bool  # a common prefix, not a name


def page(
    first_from: Callable[[str], str | None], prefix: str, after: str, delimiter: str, amount: int
) -> tuple[list[Listed], bool]:
    """One page of sorted names, and whether there are more.

    Args:
        first_from: gives the first name that is not before a position.
    """
    listed: list[Listed] = []
    at = after + (_LAST if delimiter and after.endswith(delimiter) else "\0") if after else ""
    name = first_from(max(prefix, at))
    while name is not None and name.startswith(prefix):
        if len(listed) == amount:
            return listed, True
        head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
        if found:
            listed.append(Listed(prefix + head + found, True))
            name = first_from(prefix + head + found + _LAST)
        else:
            listed.append(Listed(name, False))
            name = first_from(name + "\0")
    return listed, False


def names_from(names: list[str]) -> Callable[[str], str | None]:
    """``first_from`` of a sorted list."""

    def first_from(position: str) -> str | None:
        at = bisect_left(names, position)
        return names[at] if at < len(names) else None

    return first_from
