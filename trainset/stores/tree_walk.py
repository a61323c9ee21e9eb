"""Walking any tree in the byte order of its keys, and telling of what cannot be taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from trainset.stores.base import ObjectInfo

# Told of what could not be listed: a key, or a folder's key ("" or ending with "/"), and why.
OnUnreadable = Callable[[str, str], None]
# Told of an entry that can never be an object: its name, a stable kind, and why.
OnRefused = Callable[[str, str, str], None]

T = TypeVar("T")
# A folder's key ("" or "a/b/") -> (name, fact) ascending; the name of a folder ends with "/".
OpenFolder = Callable[[str], Iterable[tuple[str, T]]]


def _all(key: str) -> bool:
    return True


@dataclass(frozen=True)
class Watch:
    """What a walk takes, and whom it tells of the rest.

    Attributes:
        takes: whether a key is wanted; others are neither looked at nor told of.
        enters: whether a folder ("a/b/") is walked.
        unreadable: told of what could not be listed now: its keys are not known to be gone. None:
            it ends the walk with an error, because a short listing looks like deleted files.
        refused: told of what is there and can never be an object. None: it is passed over.
    """

    takes: Callable[[str], bool] = _all
    enters: Callable[[str], bool] = _all
    unreadable: OnUnreadable | None = None
    refused: OnRefused | None = None

    def refuse(self, name: str, kind: str, reason: str) -> None:
        if self.refused is not None:
            self.refused(name, kind, reason)


EVERYTHING = Watch()


class Walkable(Protocol):
    """A store that can tell what its listing leaves out."""

    def walk(
        self, prefix: str = "", *, start_after: str = "", watch: Watch = EVERYTHING
    ) -> Iterator[ObjectInfo]:
        """As ``list``, for the keys that ``watch`` takes."""
        ...


def walk_tree(
    open_folder: OpenFolder[T], prefix: str, start_after: str, watch: Watch
) -> Iterator[tuple[str, T]]:
    """Keys (and facts) with ``prefix`` after ``start_after``, ascending by their UTF-8 bytes.

    Holds the names of the folders from the root to the current one; any depth.
    """
    open_folders = [("", iter(open_folder("")))]
    while open_folders:
        folder, entries = open_folders[-1]
        for name, fact in entries:
            key = folder + name
            if name.endswith("/"):
                if _may_hold(key, prefix, start_after) and watch.enters(key):
                    open_folders.append((key, iter(open_folder(key))))
                    break
            elif key > start_after and key.startswith(prefix) and watch.takes(key):
                yield key, fact
        else:
            open_folders.pop()


def _may_hold(folder: str, prefix: str, start_after: str) -> bool:
    """Whether a folder (``a/b/``) can hold a key with ``prefix`` after ``start_after``."""
    if not (folder.startswith(prefix) or prefix.startswith(folder)):
        return False
    return folder > start_after or start_after.startswith(folder)
