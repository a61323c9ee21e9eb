"""The one listing protocol of all sources: folders, buckets, lists of URLs, fsspec's systems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from trainset.stores.base import ObjectInfo, ReadStore
from trainset.stores.tree_walk import EVERYTHING, Walkable, Watch


def walk(
    store: ReadStore, prefix: str = "", *, start_after: str = "", watch: Watch = EVERYTHING
) -> Iterator[ObjectInfo]:
    """As ``store.list``, for the keys that ``watch`` takes, telling it of what is left out.

    Buckets are listed by several requests at once; see ``s3_partitions``.
    """
    if hasattr(store, "walk"):
        yield from cast(Walkable, store).walk(prefix, start_after=start_after, watch=watch)
        return
    for info in _listed(store, prefix, start_after):
        if watch.takes(info.key):
            yield info


def _listed(store: ReadStore, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
    if store.url.startswith("s3://"):
        from trainset.stores.s3 import S3Store
        from trainset.stores.s3_partitions import list_partitioned

        if isinstance(store, S3Store):
            return list_partitioned(store, prefix, start_after=start_after)
    return store.list(prefix, start_after=start_after)
