"""Listing a source: which of its files are media of the dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from trainset.errors import InputError
from trainset.spec import MediaSource
from trainset.stores.base import ObjectInfo, ReadStore
from trainset.stores.local import LocalStore
from trainset.transfer.base import SourceFile
from trainset.transfer.globs import path_filter


def list_source(
    source: MediaSource,
    store: ReadStore,
    *,
    home: str | None = None,
    on_unreadable: Callable[[str, str], None] | None = None,
) -> Iterator[SourceFile]:
    """The files of one source, ascending by key, in constant memory.

    Left out without a word: files that no include or some exclude says; hidden files and folders
    (a name that starts with a dot); the home, when it lies inside the source.

    Args:
        store: opened at the source.
        home: url of the home.
        on_unreadable: told of a folder that may not be read, as key prefix ("<name>/a/b/") and
            reason; the plan must not take its files for missing (``plan_transfer(unlisted=…)``).
            None: such a folder ends the listing.
    Raises:
        NotFound: the source is not there.
        AccessDenied: names the folder, or the bucket's refusal.
        InputError: the source is the home itself.
    """
    wanted = path_filter(source.include, source.exclude)
    home_prefix = _below(home, store.url) if home is not None else None
    if home_prefix == "":
        raise InputError(
            f"the home and the source {source.name!r} are the same place ({store.url}); "
            "give the home a folder of its own"
        )
    for info in _objects(source, store, on_unreadable):
        path = info.key
        if path.startswith(".") or "/." in path or not wanted(path):
            continue
        if home_prefix is not None and path.startswith(home_prefix):
            continue
        if path.endswith("/") and info.size == 0:
            continue  # a bucket browser's marker for an empty folder
        yield SourceFile(
            key=f"{source.name}/{path}",
            source=source.name,
            path=path,
            uri=f"{store.url.rstrip('/')}/{path}",
            size=info.size,
            version=info.version,
            modified=info.modified,
        )


def _objects(
    source: MediaSource, store: ReadStore, on_unreadable: Callable[[str, str], None] | None
) -> Iterator[ObjectInfo]:
    if on_unreadable is None or not isinstance(store, LocalStore):
        return store.list()
    tell = on_unreadable
    return store.walk(on_unreadable=lambda folder, why: tell(f"{source.name}/{folder}", why))


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
