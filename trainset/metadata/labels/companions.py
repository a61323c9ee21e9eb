"""Companion files of label files, class names above all; the name of what a reading depends on."""

from __future__ import annotations

import hashlib
import posixpath
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from trainset.identity import hash128
from trainset.metadata.labels.registry import Beside, LabelFormat
from trainset.stores.base import ObjectInfo, ReadStore


@dataclass(frozen=True)
class Companions:
    """What a file is read with.

    Attributes:
        beside: companion files, the nearest first.
        name: of what was said and what stands beside; when it changes, the file is read again.
    """

    beside: Beside
    name: str

    @classmethod
    def find(
        cls,
        known: LabelFormat | None,
        store: ReadStore,
        above: Sequence[ReadStore],
        files: Mapping[str, ObjectInfo] | None,
        folder: str,
        said: Sequence[object],
    ) -> Companions:
        """The companions of a folder's files in one format.

        Args:
            above: the folders over the store's, nearest first.
            files: of the store; None: it is not listed, for one file of it alone is read.
            said: what else the reading depends on.
        """
        beside: Beside = ()
        if known is not None and known.beside:
            if files is None:
                beside = _in_folders(known, (store, *above))
            else:
                beside = _listed(known, store, files, folder) or _in_folders(known, above)
        names = [[name, hashlib.sha256(data).hexdigest()] for name, data in beside]
        return cls(beside, hash128([*said, *([names] if names else [])]))


def _listed(
    known: LabelFormat, store: ReadStore, files: Collection[str], folder: str
) -> list[tuple[str, bytes]]:
    """Those in a folder and in those above it."""
    names: dict[str, list[str]] = defaultdict(list)
    for key in files:
        if _rank(known, key) is not None:
            names[posixpath.dirname(key)].append(key)
    found: list[tuple[str, bytes]] = []
    while True:
        keys = sorted(names.get(folder, ()), key=lambda key: (_rank(known, key), key))
        found += [(key, store.get(key)) for key in keys]
        if not folder:
            return found
        folder = posixpath.dirname(folder)


def _in_folders(known: LabelFormat, stores: Sequence[ReadStore]) -> list[tuple[str, bytes]]:
    """Those with names that are known, in folders that are not listed."""
    names = [n for n in (*known.beside, "obj.names") if "*" not in n and known.owns(n)]
    return [(n, store.get(n)) for store in stores for n in names if store.head(n) is not None]


def _rank(known: LabelFormat, key: str) -> int | None:
    name = posixpath.basename(key).lower()
    return next((i for i, p in enumerate(known.beside) if fnmatchcase(name, p)), None)
