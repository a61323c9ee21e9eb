"""Garbage collection of the git store: what neither a ref, nor a run, nor the retention needs.

``plan_collection`` decides, without a look at anything; ``apply_collection`` removes. Only names
that trainset itself gives are looked at: table files, Parquet parts, media named by their content,
packs. What a spec sends elsewhere, media in reference mode, exports and thumbnails stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from trainset.errors import AccessDenied, NotFound
from trainset.model import Frozen
from trainset.stores.base import ObjectStore
from trainset.versions.bucket import VersionedStore
from trainset.versions.history import unneeded_packs
from trainset.versions.reach import Reach

if TYPE_CHECKING:
    from trainset.versions.git import GitVersions

THREADS = 16  # requests in flight
PREFIXES = ("tables/", "meta/", "provenance/")
_CONTENT = re.compile(r"(?:([0-9a-f]{2})/\1[0-9a-f]{62}|u/([^/.]+)(?:\.[0-9a-f]{64})?)")

Kind = Literal["table", "file", "media", "pack"]


class Stored(NamedTuple):
    """One object of the home, or one hidden version of it."""

    key: str
    size: int
    modified: datetime
    version_id: str | None = None
    hidden: bool = False  # not what a reader of the key gets
    newest: bool = True  # of its key; hidden, too, when somebody deleted the key


class Garbage(Frozen):
    """Something to be removed; ``version_id`` says which version, None: the object."""

    kind: Kind
    key: str
    size: int
    version_id: str | None = None
    hidden: bool = False


class CollectPlan(Frozen):
    """What would go. ``young`` is garbage too, but changed within the retention: it waits.

    Attributes:
        kept_media: media that would go if no run were at work.
    """

    remove: tuple[Garbage, ...] = ()
    young: tuple[Garbage, ...] = ()
    kept_media: tuple[Garbage, ...] = ()


class Collected(Frozen):
    """What went, and what the store refused to remove (locked, or the key may not), with why."""

    removed: tuple[Garbage, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()


def plan_collection(
    held: Iterable[Stored], reach: Reach, *, media: str, before: datetime, runs_at_work: bool
) -> CollectPlan:
    """Decide for every object of the home.

    Args:
        held: objects, and their hidden versions, where the store keeps any.
        media: the folder of media in copy mode.
        before: what changed later is left alone.
        runs_at_work: runs of this machine are under way: they may count on media that lie here.
    """
    remove, young, kept = [], [], []
    for item in held:
        kind, needed = _judge(item, reach, f"{media}/")
        if kind is None or needed:
            continue
        found = Garbage(
            kind=kind,
            key=item.key,
            size=item.size,
            version_id=item.version_id,
            hidden=item.hidden,
        )
        if item.modified >= before:
            young.append(found)
        elif kind == "media" and runs_at_work:
            kept.append(found)
        else:
            remove.append(found)
    return CollectPlan(remove=tuple(remove), young=tuple(young), kept_media=tuple(kept))


def _judge(item: Stored, reach: Reach, media: str) -> tuple[Kind | None, bool]:
    """The kind of an object that may be collected, and whether something needs it."""
    if item.key.startswith("repo.git/"):
        return "pack", False  # only packs that nothing needs are listed
    if item.key.startswith(PREFIXES):
        kind: Kind = "table" if item.key.startswith("tables/") else "file"
        return kind, item.key in reach.paths and item.newest
    match = _CONTENT.fullmatch(item.key.removeprefix(media)) if item.key.startswith(media) else None
    if match is None:
        return None, True
    key = f"{media}u/{match[2]}" if match[2] else item.key  # a note goes with its stream
    pinned = (item.key, item.version_id) in reach.pins
    return "media", pinned or (item.newest and key in reach.media)


def list_stored(versions: GitVersions, reach: Reach) -> Iterator[Stored]:
    """Everything that may be collected: objects, hidden versions, unneeded packs of a folder.

    Packs in a bucket stay: they are small, and other machines build on them.
    """
    store = versions.home.store
    for prefix in (*PREFIXES, f"{versions.home.config.media}/"):
        yield from _below(store, prefix)
    for pack in unneeded_packs(versions.repository, reach.commits) if not versions.mirror else ():
        for path in (pack.with_suffix(".idx"), pack):  # git reads no pack without its index
            stat = path.stat()
            modified = datetime.fromtimestamp(stat.st_mtime, UTC)
            yield Stored(f"repo.git/objects/pack/{path.name}", stat.st_size, modified)


def _below(store: ObjectStore, prefix: str) -> Iterator[Stored]:
    if not isinstance(store, VersionedStore):
        for info in store.list(prefix):
            yield Stored(info.key, info.size, info.modified)
        return
    last = None
    for key, version in store.iter_versions(prefix):
        found = (key, version.size, version.modified, version.version_id)
        yield Stored(*found, hidden=not version.is_latest, newest=key != last)
        last = key


def apply_collection(
    store: ObjectStore,
    plan: CollectPlan,
    *,
    hidden: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Collected:
    """Remove what the plan says; killed and run again, it goes on.

    Args:
        hidden: remove for good, old versions too; else a bucket that keeps versions hides only.
        progress: called with the number of objects removed so far.
    """
    removed: list[Garbage] = []
    refused: list[tuple[str, str]] = []

    def one(item: Garbage) -> None:
        try:
            if hidden and item.version_id is not None and isinstance(store, VersionedStore):
                store.delete_version(item.key, item.version_id)
            else:
                store.delete(item.key)
        except NotFound:
            pass  # an earlier collection that was killed
        except AccessDenied as err:
            refused.append((item.key, str(err)))
            return
        removed.append(item)
        progress(len(removed))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, (item for item in plan.remove if hidden or not item.hidden)))
    return Collected(removed=tuple(removed), refused=tuple(refused))
