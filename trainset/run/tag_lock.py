"""Object Lock on everything that a tag reaches: nobody deletes a byte of it before its time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import islice

from trainset.errors import AccessDenied, InputError, NotFound
from trainset.home import Home
from trainset.model import Frozen
from trainset.report.wording import many
from trainset.run.context import Run, RunContext
from trainset.run.reports import Published
from trainset.spec import TagLock
from trainset.stores.s3 import S3Store
from trainset.stores.s3_lock import check_lockable, keep_until
from trainset.versions.tag_reach import Reached, reached_objects

THREADS = 16
_AT_ONCE = 2_000  # objects handed to the threads at a time
_TOLD = 3


class Locked(Frozen):
    """What a tag reaches, and how much of it was not locked so long before."""

    ref: str
    objects: int = 0
    extended: int = 0
    until: datetime

    @property
    def said(self) -> str:
        return (
            f"{self.ref}: {many(self.objects, 'object')} locked until {self.until:%Y-%m-%d}, "
            f"{self.extended:,} of them anew"
        )


class TagUnlocked(InputError):
    """Some of what a tag reaches could not be locked; the rest is."""

    kind = "tag-unlocked"

    def __init__(self, ref: str, failed: tuple[tuple[str, str], ...], objects: int) -> None:
        self.ref, self.failed, self.objects = ref, failed, objects
        some = "; ".join(f"{uri}: {why}" for uri, why in failed[:_TOLD])
        super().__init__(
            f"{ref}: {len(failed):,} of {objects:,} objects could not be locked ({some}); mend "
            f"that, then run: trainset lock HOME --ref {ref}"
        )

    def __reduce__(self) -> tuple[type[TagUnlocked], tuple[object, ...]]:
        return type(self), (self.ref, self.failed, self.objects)


def lock_published(
    context: RunContext, published: Published, progress: Callable[[int], None] | None = None
) -> Locked | None:
    """Lock what the run's tag reaches, if the spec asks for it; see ``lock_tag``."""
    wanted = context.spec.lock_tags
    if wanted is None or published.tag is None:
        return None
    home = Run(context).home
    return lock_tag(home, published.tag, wanted, now=context.started_at, progress=progress)


def media_of(context: RunContext, published: Published) -> int:
    """How many media the run's tag has, for a progress bar; 0 when nothing is to be locked."""
    if context.spec.lock_tags is None or published.tag is None:
        return 0
    commit = Run(context).home.versions.resolve(published.tag)
    return int(commit.metadata.get("rows.media", 0))


def lock_tag(
    home: Home,
    ref: str,
    lock: TagLock,
    *,
    now: datetime,
    progress: Callable[[int], None] | None = None,
) -> Locked:
    """Lock every object that a tag or commit reaches, for ``lock.days`` from ``now``.

    Repeating it is safe, also after a kill: what is locked so long already is passed over.

    Raises:
        InputError: the home's store takes no locks.
        TagUnlocked: some objects could not be locked; all others are.
    """
    check_lockable(home.store)
    until = (now + timedelta(days=lock.days)).replace(microsecond=0)
    failed: list[tuple[str, str]] = []
    counts, guard = {"objects": 0, "extended": 0}, threading.Lock()

    def one(reached: Reached) -> None:
        try:
            grown = _keep(reached, lock.mode, until)
        except (AccessDenied, NotFound, InputError) as err:
            failed.append((reached.store.uri(reached.key), str(err)))
            grown = False
        with guard:
            counts["objects"] += 1
            counts["extended"] += grown
            if progress is not None:
                progress(counts["objects"])

    found = reached_objects(home, ref)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="lock") as pool:
        while some := list(islice(found, _AT_ONCE)):
            list(pool.map(one, some))
    if failed:
        raise TagUnlocked(ref, tuple(sorted(failed)), counts["objects"])
    return Locked(ref=ref, until=until, **counts)


def _keep(reached: Reached, mode: str, until: datetime) -> bool:
    if not isinstance(reached.store, S3Store):
        raise InputError("it lies in no store that locks objects; bring it into the home")
    return keep_until(reached.store, reached.key, reached.version_id, mode, until)
