"""Reading the files of a git commit again: are they what it says?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from trainset.errors import NotFound
from trainset.stores.base import ObjectStore
from trainset.versions.base import FileCheck
from trainset.versions.pool import THREADS, Pointer
from trainset.versions.repository import GitBroken
from trainset.versions.tree import CommitTree

PIECE = 4 * 2**20
_AT_ONCE = 1000  # files that wait for their turn: bounds memory


def check_pointers(store: ObjectStore, pointers: Sequence[Pointer]) -> Iterator[FileCheck]:
    """Hash immutable files where they lie in the home, a few at once."""
    with ThreadPoolExecutor(THREADS, "check-files") as pool:
        for start in range(0, len(pointers), _AT_ONCE):
            some = pointers[start : start + _AT_ONCE]
            yield from pool.map(lambda pointer: _check(store, pointer), some)


def check_small(tree: CommitTree) -> Iterator[FileCheck]:
    """Read the small files, which are in git itself."""
    try:
        for path, size in tree.all_small():
            yield FileCheck(path=path, size=size)
    except GitBroken as err:  # what follows is in the same packs
        yield FileCheck(path="repo.git", size=0, fault=str(err))


def _check(store: ObjectStore, pointer: Pointer) -> FileCheck:
    digest, size, fault = hashlib.sha256(), 0, None
    try:
        with store.open(pointer.path) as stream:
            while piece := stream.read(PIECE):
                digest.update(piece)
                size += len(piece)
        if digest.hexdigest() != pointer.sha256:
            fault = (
                f"the home holds {size} bytes of sha256 {digest.hexdigest()}, the commit says "
                f"{pointer.size} bytes of {pointer.sha256}; {RESTORE}"
            )
    except NotFound:
        fault = f"the home has lost it; {RESTORE}"
    return FileCheck(path=pointer.path, size=size, fault=fault)


RESTORE = (
    "put this file back from a backup or another copy of the home (an older version of the "
    "object, where the bucket keeps any), or go on from an intact version: trainset rollback"
)
