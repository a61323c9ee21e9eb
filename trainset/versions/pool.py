"""``FilePool``: the home's immutable files (table files, Parquet parts) as a checkout uses them.

In a folder home files are hardlinked both ways. From a bucket they come through a local cache named
by sha256, and go up whole; nothing here ever overwrites bytes that a commit pins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from trainset.model import Frozen
from trainset.stores.atomic import make_folder, sync_folder
from trainset.stores.base import ObjectStore
from trainset.versions.durable import link_or_copy, sync_file

THREADS = 8  # files in flight to or from a bucket


class Pointer(Frozen):
    """An immutable file of a commit: it lies in the home at ``path``."""

    path: str
    sha256: str
    size: int

    def encode(self) -> bytes:
        return (self.model_dump_json() + "\n").encode()


def measure(path: str, local: Path) -> Pointer:
    """The pointer of a local file that will lie at ``path``."""
    with local.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    return Pointer(path=path, sha256=digest, size=local.stat().st_size)


class FilePool:
    """Immutable files of one home; ``cache`` is used for bucket homes only."""

    def __init__(self, store: ObjectStore, cache: Path) -> None:
        self._store, self._cache = store, cache

    def add(
        self, files: Sequence[tuple[Pointer, Path]], *, check: Callable[[Pointer], None]
    ) -> None:
        """Put files into the home; what it holds already is passed over.

        On return all of them are durable, names and all, also those of a process that was killed.

        Args:
            check: asked before other bytes at a file's place are replaced; raises to forbid it.
        """
        if not files:
            return
        with ThreadPoolExecutor(THREADS) as pool:
            held = dict(zip(files, pool.map(self._holds, (p for p, _ in files)), strict=True))
            for (pointer, _), found in held.items():
                if found == "other":
                    check(pointer)
            missing = [file for file, found in held.items() if found != "same"]
            list(pool.map(self._add, missing))
            paths = (self._store.local_path(pointer.path) for pointer, _ in files)
            folders = set(pool.map(_sync, (path for path in paths if path is not None)))
        for folder in folders:
            sync_folder(folder)

    def _holds(self, pointer: Pointer) -> Literal["same", "other", "nothing"]:
        info = self._store.head(pointer.path)
        if info is None:
            return "nothing"
        local = self._store.local_path(pointer.path)
        if info.size != pointer.size:
            sha256 = None
        elif local is not None:
            sha256 = measure(pointer.path, local).sha256
        else:
            sha256 = info.sha256 or hashlib.sha256(self._store.get(pointer.path)).hexdigest()
        return "same" if sha256 == pointer.sha256 else "other"

    def _add(self, file: tuple[Pointer, Path]) -> None:
        pointer, local = file
        target = self._store.local_path(pointer.path)
        if target is None:
            self._store.put_file(pointer.path, local, sha256=pointer.sha256)
        else:
            make_folder(target.parent)
            link_or_copy(local, target)

    def fetch(self, pointer: Pointer) -> Path:
        """A local path with the file's bytes; do not write to it.

        Raises:
            ChecksumMismatch: the home's bytes are not those of the commit.
            NotFound: the home lost the file.
        """
        here = self._store.local_path(pointer.path)
        if here is not None:
            if not here.exists():
                self._store.get(pointer.path, length=0)  # raises NotFound in the store's words
            return here
        cached = self._cache / pointer.sha256[:2] / pointer.sha256
        if not cached.exists():
            self._store.fetch_file(pointer.path, cached, sha256=pointer.sha256)
        return cached

    def link(self, files: Iterable[tuple[Pointer, Path]]) -> None:
        """Materialise files: each ``pointer`` at a local path of its own."""
        todo = list(files)
        if todo:
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(self._link, *zip(*todo, strict=True)))

    def _link(self, pointer: Pointer, target: Path) -> None:
        link_or_copy(self.fetch(pointer), target)


def _sync(path: Path) -> Path:
    sync_file(path)
    return path.parent
