"""What a plan looks at before a run: the newest commit and the listings; nothing is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trainset.errors import NotFound
from trainset.home import open_home
from trainset.model import Credentials
from trainset.spec import DatasetSpec
from trainset.stores import open_source
from trainset.tables.lance_store import LanceTableStore
from trainset.transfer.base import SourceFile
from trainset.transfer.base_index import BaseIndex
from trainset.transfer.listing import list_source

Progress = Callable[[int], None]  # gets the number of files listed so far
Refused = Callable[[str, str, str], None]  # gets key, kind and reason


def open_base(spec: DatasetSpec, credentials: Credentials | None) -> tuple[str | None, BaseIndex]:
    """The home's newest commit and what it holds; a home that is not there yet holds nothing."""
    try:
        home = open_home(spec.home, credentials=credentials)
    except NotFound:
        return None, BaseIndex.of({})
    head = home.versions.head()
    if head is None:
        return None, BaseIndex.of({})
    location, store = home.versions.snapshot(head.id).table("media"), LanceTableStore()
    if not store.exists(location):
        return head.id, BaseIndex.of({})
    return head.id, BaseIndex.of_table(store.open(location))


def list_all(
    spec: DatasetSpec,
    credentials: Credentials | None,
    unlisted: dict[str, str],
    on_refused: Refused,
    progress: Progress | None = None,
) -> Iterator[SourceFile]:
    """The files of all sources; folders that may not be read go to ``unlisted``.

    Args:
        on_refused: see ``list_source``.
    """
    count = 0
    for source in spec.media:
        store = open_source(source.from_, credentials)
        for file in list_source(
            source,
            store,
            home=spec.home,
            on_unreadable=unlisted.__setitem__,
            on_refused=on_refused,
        ):
            yield file
            count += 1
            if progress is not None and count % 1_000 == 0:
                progress(count)
    if progress is not None:
        progress(count)


def is_bucket(place: str) -> bool:
    return "://" in place and not place.startswith("file://")
