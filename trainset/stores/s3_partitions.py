"""Listing a large bucket by several requests at once, still in the order of its keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from trainset.stores.base import ObjectInfo
from trainset.stores.s3 import S3Store

_THREADS = 8
_PAGES = 48  # pages of 1,000 keys that may wait for their turn: some 20 MB
_THICK = 4  # pages of one partition, and the rest of it is split
_MOST = 64


class Partition(NamedTuple):
    """The keys after ``after``, up to and with ``upto``; "" is no limit."""

    after: str
    upto: str


@dataclass
class _Run:
    """One partition under way: its pages in order, and how far it has been read."""

    after: str
    upto: str
    pages: deque[list[dict[str, Any]]] = field(default_factory=deque)
    seen: int = 0  # pages
    busy: Future[tuple[list[dict[str, Any]], bool]] | None = None
    done: bool = False


def partitions(
    store: S3Store, prefix: str = "", *, start_after: str = "", upto: str = "", most: int = _MOST
) -> list[Partition]:
    """Split the keys with ``prefix`` at the folders that the store names; at most ``most``.

    One request a level of folders, until a level has more than one. A flat bucket is one
    partition. Together the partitions hold every key, those between folders too.
    """

    def cuts_below(level: str) -> list[str]:
        found = _folders(store, level, start_after)
        return [f for f in found if f > start_after and (not upto or f < upto)]

    cuts: list[str] = []
    for level in _levels(prefix, start_after):
        cuts = cuts_below(level)
        if cuts:
            break
    alone = cuts[0] if len(cuts) == 1 else ""
    while alone:  # one folder holds what is left: look into it
        inner = cuts_below(alone)
        cuts += inner
        alone = inner[0] if len(inner) == 1 else ""
    step = max(1, -(-len(cuts) // max(1, most - 1)))
    edges = [start_after, *cuts[::step], upto]
    return [Partition(a, b) for a, b in pairwise(edges)]


def _levels(prefix: str, start_after: str) -> list[str]:
    """``prefix`` and the folders below it that ``start_after`` lies in, from the top."""
    if not start_after.startswith(prefix):
        return [prefix]
    rest = range(len(prefix), len(start_after))
    return [prefix, *(start_after[: i + 1] for i in rest if start_after[i] == "/")]


def list_partitioned(
    store: S3Store, prefix: str = "", *, start_after: str = ""
) -> Iterator[ObjectInfo]:
    """As ``store.list``: the same objects in the same order.

    A bucket of a few pages costs the same requests as a plain listing. From then on, what is left
    of a partition is split into as many as it has had pages, and up to 8 pages are asked for
    at once, those that are wanted first before others; 48 pages are held at most.
    """
    runs: deque[_Run] = deque([_Run(start_after, "")])
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="list")
    try:
        while runs:
            _ask(store, prefix, pool, runs)
            front = runs[0]
            if front.pages:
                for item in front.pages.popleft():
                    yield _info(store, item)
            elif front.busy is not None:
                front.busy.exception()  # waits; _collect raises it
            elif front.done:
                runs.popleft()
            _collect(store, prefix, runs)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _ask(store: S3Store, prefix: str, pool: ThreadPoolExecutor, runs: deque[_Run]) -> None:
    """Start requests for the runs that come next, within the limits."""
    busy = sum(run.busy is not None for run in runs)
    held = sum(len(run.pages) for run in runs) + busy
    for number, run in enumerate(runs):
        # The front may always go on, one page ahead: what it gives makes room for the others.
        if busy >= _THREADS or (held >= _PAGES and number > 0):
            return
        if run.busy is None and not run.done and (number > 0 or len(run.pages) < 2):
            run.busy = pool.submit(_page, store, prefix, run.after, run.upto)
            busy, held = busy + 1, held + 1


def _collect(store: S3Store, prefix: str, runs: deque[_Run]) -> None:
    """Take the pages that have come, and split what turns out to be long."""
    for run in list(runs):
        if run.busy is None or not run.busy.done():
            continue
        items, more = run.busy.result()
        run.busy = None
        run.pages.append(items)
        run.seen += 1
        run.done = not more
        if items:
            run.after = items[-1]["Key"][len(store.root) :]
        if more and run.seen >= _THICK and len(runs) < _MOST:
            parts = partitions(store, prefix, start_after=run.after, upto=run.upto, most=run.seen)
            if len(parts) > 1:
                run.upto = parts[0].upto
                at = runs.index(run) + 1
                for part in reversed(parts[1:]):
                    runs.insert(at, _Run(part.after, part.upto))
            run.seen = 0 if len(parts) > 1 else -(8 * _THICK)  # flat: ask again much later


def _page(store: S3Store, prefix: str, after: str, upto: str) -> tuple[list[dict[str, Any]], bool]:
    """One page of a partition, and whether it has more."""
    query = {"Bucket": store.bucket, "Prefix": store.root + prefix}
    if after:
        query["StartAfter"] = store.root + after
    page = store.request("list", prefix, lambda: store.client.list_objects_v2(**query))
    items: list[dict[str, Any]] = page.get("Contents", [])
    inside = [i for i in items if not upto or i["Key"] <= store.root + upto]
    return inside, bool(page["IsTruncated"]) and len(inside) == len(items)


def _folders(store: S3Store, level: str, start_after: str) -> list[str]:
    """The first folders (at most 1,000) right below ``level`` that lie after ``start_after``."""
    query = {"Bucket": store.bucket, "Prefix": store.root + level, "Delimiter": "/"}
    if start_after > level:
        query["StartAfter"] = store.root + start_after
    page = store.request("list", level, lambda: store.client.list_objects_v2(**query))
    found = [item["Prefix"][len(store.root) :] for item in page.get("CommonPrefixes", ())]
    return sorted(found, key=str.encode)


def _info(store: S3Store, item: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(
        key=item["Key"][len(store.root) :],
        size=item["Size"],
        version=item["ETag"].strip('"'),
        modified=item["LastModified"],
    )
