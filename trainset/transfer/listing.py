"""Listing a source: which of its files are media of the dataset."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from trainset.errors import InputError
from trainset.spec import MediaSource
from trainset.stores.base import ReadStore
from trainset.stores.keys import check_key
from trainset.stores.tree_walk import OnRefused, OnUnreadable, Watch
from trainset.stores.walk import walk
from trainset.transfer.base import SourceFile
from trainset.transfer.globs import path_filter

_HIDDEN = re.compile(r"(?:^|/)\.(?!\.?(?:/|$))")  # a name with a dot before it; not ".."


def list_source(
    source: MediaSource,
    store: ReadStore,
    *,
    home: str | None = None,
    on_unreadable: OnUnreadable | None = None,
    on_refused: OnRefused | None = None,
    start_after: str = "",
) -> Iterator[SourceFile]:
    """The files of one source, ascending by key, in constant memory.

    Left out without a word: files that no include or some exclude says; hidden files and folders
    (a name that starts with a dot); the home, when it lies inside the source.

    A file is the same as in an earlier listing when path, size and version are: mtime in ns in a
    folder; the ETag in a bucket and of a URL; what the driver has elsewhere.

    Args:
        store: opened at the source.
        home: url of the home.
        on_unreadable: told of what could not be listed now, as key prefix ("<name>/a/b/", or one
            file's key) and reason: a folder that may not be read, a URL that does not answer. The
            plan must not take such files for missing (``plan_transfer(unlisted=…)``). None: it
            ends the listing.
        on_refused: told of what is there and cannot be a file of the dataset, as key, kind and
            reason: ``special-file`` (FIFO, socket, device), ``bad-name`` (no valid key),
            ``linked-folder``, ``no-size``; of a list of URLs ``not-found``, and ``bad-url`` and
            ``duplicate-url`` with the key "<name>/<list>:<line>". None: it is passed over.
        start_after: a path in the source; only files after it are listed.
    Raises:
        NotFound: the source is not there.
        AccessDenied: names the folder, or the bucket's refusal.
        InputError: the source is the home itself.
    """
    rules = _Rules(path_filter(source.include, source.exclude), _home_prefix(source, store, home))

    def refuse(name: str, kind: str, reason: str) -> None:
        if on_refused is not None:
            on_refused(f"{source.name}/{name}", kind, reason)

    def unreadable(name: str, reason: str) -> None:
        assert on_unreadable is not None
        on_unreadable(f"{source.name}/{name}", reason)

    watch = Watch(rules.takes, rules.enters, unreadable if on_unreadable else None, refuse)
    for info in walk(store, start_after=start_after, watch=watch):
        path = info.key
        if path.endswith("/") and info.size == 0:
            continue  # a bucket browser's marker for an empty folder
        try:
            check_key(path)
        except InputError as err:
            refuse(path, "bad-name", str(err))
            continue
        yield SourceFile(
            key=f"{source.name}/{path}",
            source=source.name,
            path=path,
            uri=store.uri(path),
            size=info.size,
            version=info.version,
            version_id=info.version_id,
            modified=info.modified,
        )


@dataclass(frozen=True)
class _Rules:
    """What is taken; ``home`` is the home's key prefix in the source, where it lies inside."""

    wanted: Callable[[str], bool]
    home: str | None

    def takes(self, path: str) -> bool:
        return not self._passed_over(path) and self.wanted(path)

    def enters(self, folder: str) -> bool:
        return not self._passed_over(folder)

    def _passed_over(self, path: str) -> bool:
        if _HIDDEN.search(path):
            return True
        return self.home is not None and path.startswith(self.home)


def _home_prefix(source: MediaSource, store: ReadStore, home: str | None) -> str | None:
    prefix = _below(home, store.url) if home is not None else None
    if prefix == "":
        raise InputError(
            f"the home and the source {source.name!r} are the same place ({store.url}); "
            "give the home a folder of its own"
        )
    return prefix


def _below(home: str, root: str) -> str | None:
    """The home as a key prefix below ``root`` ("" when they are one place), None when outside."""
    inner, outer = _comparable(home), _comparable(root)
    if inner == outer:
        return ""
    return inner[len(outer) + 1 :] + "/" if inner.startswith(outer + "/") else None


def _comparable(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme in ("b2", "s3"):
        return f"s3://{parts.netloc}{parts.path}".rstrip("/")
    return url.removeprefix("file://").rstrip("/")
