"""What a plan looks at before a run: the newest commit and the listings; nothing is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from trainset.errors import NotFound
from trainset.home import open_home
from trainset.metadata.store import CommitFiles
from trainset.model import Credentials
from trainset.spec import DatasetSpec
from trainset.stores import open_source
from trainset.tables.base import Table
from trainset.tables.lance_store import LanceTableStore
from trainset.transfer.base import SourceFile
from trainset.transfer.base_index import BaseIndex
from trainset.transfer.base_rows import BaseFiles, BaseRows
from trainset.transfer.listing import list_source
from trainset.transfer.pins import gone_pins
from trainset.versions.lakefs.access import LakeFSAccess

Progress = Callable[[int], None]  # gets the number of files listed so far
Refused = Callable[[str, str, str], None]  # gets key, kind and reason


class Base(NamedTuple):
    """The home's newest commit and what it holds; None: it has no commit, or no media yet."""

    commit: str | None
    media: Table | None
    files: CommitFiles | None = None

    def to_index(self) -> BaseFiles:
        return BaseRows({}) if self.media is None else BaseIndex.of_table(self.media)


def open_base(
    spec: DatasetSpec, credentials: Credentials | None, lakefs: LakeFSAccess | None
) -> Base:
    """What a run would start from; a home that is not there yet holds nothing."""
    try:
        home = open_home(spec.home, credentials=credentials, lakefs=lakefs)
    except NotFound:
        return Base(None, None)
    head = home.versions.head()
    if head is None:
        return Base(None, None)
    snapshot, store = home.versions.snapshot(head.id), LanceTableStore()
    location = snapshot.table("media")
    return Base(head.id, store.open(location) if store.exists(location) else None, snapshot)


def gone_keys(
    media: Table | None, spec: DatasetSpec, credentials: Credentials | None
) -> frozenset[str]:
    """Keys of reference sources whose pinned version has expired or was deleted."""
    from trainset.stores.s3 import S3Store  # late: boto3 comes with it

    found: set[str] = set()
    if media is None:
        return frozenset()
    for source in spec.media:
        if source.mode != "reference":
            continue
        store = open_source(source.from_, credentials)
        if isinstance(store, S3Store):
            scan = partial(media.scan, frugal=True)
            found.update(gone_pins(scan, source.name, store.iter_versions))
    return frozenset(found)


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
