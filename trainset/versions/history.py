"""What commits reach: their ancestors, the paths of their trees, the packs that hold them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import pygit2

from trainset.versions.repository import Repository

_IDX_HEADER, _FANOUT, _ID = 8, 256 * 4, 20  # bytes of a pack index, version 2


def all_ancestors(repository: Repository, tips: Iterable[str]) -> list[str]:
    """Every commit that ``tips`` reach by any parent, themselves too, newest first."""
    known = [tip for tip in dict.fromkeys(tips) if repository.has(tip)]
    if not known:
        return []
    walker = repository.git.walk(pygit2.Oid(hex=known[0]), pygit2.enums.SortMode.TIME)
    for tip in known[1:]:
        walker.push(pygit2.Oid(hex=tip))
    return [str(commit.id) for commit in walker]


def all_paths(repository: Repository, commits: Iterable[str], *folders: str) -> set[str]:
    """Paths below any of ``folders`` in the tree of any commit, relative to that folder."""
    seen: set[tuple[str, str]] = set()
    found: set[str] = set()

    def add(tree: pygit2.Tree, prefix: str) -> None:
        if (str(tree.id), prefix) in seen:
            return
        seen.add((str(tree.id), prefix))
        for entry in tree:
            if isinstance(entry, pygit2.Tree):
                add(entry, f"{prefix}{entry.name}/")
            else:
                found.add(f"{prefix}{entry.name}")

    for commit in commits:
        root = repository.git[commit].peel(pygit2.Tree)
        for folder in folders:
            if folder in root and isinstance(tree := root[folder], pygit2.Tree):
                add(tree, "")
    return found


def unneeded_packs(repository: Repository, commits: Iterable[str]) -> list[Path]:
    """The ``.pack`` files of which no commit needs any object."""
    needed: set[bytes] = set()

    def add(tree: pygit2.Tree) -> None:
        if tree.id.raw in needed:
            return
        needed.add(tree.id.raw)
        for entry in tree:
            if isinstance(entry, pygit2.Tree):
                add(entry)
            else:
                needed.add(entry.id.raw)

    for commit in commits:
        found = repository.git[commit]
        needed.add(found.id.raw)
        add(found.peel(pygit2.Tree))
    indexes = sorted(repository.packs.glob("*.idx"))
    return [i.with_suffix(".pack") for i in indexes if needed.isdisjoint(_ids(i.read_bytes()))]


def _ids(index: bytes) -> Iterator[bytes]:
    """The object ids of a pack index."""
    (count,) = struct.unpack_from(">I", index, _IDX_HEADER + _FANOUT - 4)
    start = _IDX_HEADER + _FANOUT
    return (index[at : at + _ID] for at in range(start, start + count * _ID, _ID))
