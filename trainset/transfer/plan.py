"""Which files must move: the listing minus what the media table of the base commit says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from trainset.spec import MediaSource
from trainset.transfer.base import Outcome, SourceFile, deferred

BATCH_FILES = 2_000
BATCH_BYTES = 20 * 10**9


class BaseRow(NamedTuple):
    """What a row of ``media`` says of its source file; ``source_state``: present or missing."""

    size: int | None
    source_version: str | None
    source_state: str = "present"


Batch = tuple[SourceFile, ...]


@dataclass(frozen=True)
class TransferPlan:
    """A plan: every listed file is unchanged, in one batch, or deferred.

    Attributes:
        returned: keys among the unchanged whose row says missing: the row must say present again.
        missing: keys of rows that say present and whose file was not listed any more.
        still_missing: keys of rows that said missing before, and are not listed now either.
    """

    batches: tuple[Batch, ...]
    unchanged: int
    deferred: tuple[Outcome, ...]
    returned: tuple[str, ...]
    missing: tuple[str, ...]
    still_missing: tuple[str, ...]

    @property
    def files(self) -> int:
        return sum(len(batch) for batch in self.batches)

    @property
    def bytes(self) -> int:
        return sum(file.size for batch in self.batches for file in batch)


class Planner:
    """Plans while the listing is read: holds one batch, not the listing.

    ``batches`` is drained once; after that the other attributes are whole. See ``plan_transfer``.
    """

    def __init__(
        self,
        base: Mapping[str, BaseRow],
        sources: Sequence[MediaSource],
        *,
        now: datetime,
        unlisted: Collection[str] = (),
        batch_files: int = BATCH_FILES,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        self.unchanged = 0
        self.deferred: list[Outcome] = []
        self.returned: list[str] = []
        self.missing: list[str] = []
        self.still_missing: list[str] = []
        self._base, self._now, self._unlisted = base, now, unlisted
        self._min_age = {s.name: s.min_age for s in sources}
        self._files, self._bytes = batch_files, batch_bytes

    def batches(self, listing: Iterable[SourceFile]) -> Iterator[Batch]:
        seen: set[str] = set()  # keys of the base only: what is new needs no memory
        batch: list[SourceFile] = []
        size = 0
        for file in listing:
            row = self._base.get(file.key)
            if row is not None:
                seen.add(file.key)
            if row is not None and (row.size, row.source_version) == (file.size, file.version):
                self.unchanged += 1
                if row.source_state == "missing":
                    self.returned.append(file.key)
            elif self._too_young(file):
                self.deferred.append(self._defer(file))
            else:
                if batch and (len(batch) >= self._files or size + file.size > self._bytes):
                    yield tuple(batch)
                    batch, size = [], 0
                batch.append(file)
                size += file.size
        if batch:
            yield tuple(batch)
        self._find_missing(seen)

    def _too_young(self, file: SourceFile) -> bool:
        # A clock that is a little ahead makes a file look younger than new; one from next year
        # would never get old enough, so it is taken.
        return abs(self._now - file.modified) < self._min_age.get(file.source, timedelta(0))

    def _defer(self, file: SourceFile) -> Outcome:
        least = self._min_age[file.source]
        return deferred(
            file,
            "too-young",
            f"{file.uri} was written less than {least.total_seconds():g} s ago (min_age); "
            "it is taken in a later run",
        )

    def _find_missing(self, seen: set[str]) -> None:
        for key, row in self._base.items():
            if key in seen or key.split("/", 1)[0] not in self._min_age:
                continue  # of a source that was not listed: nothing is known of it
            if any(key.startswith(prefix) for prefix in self._unlisted):
                continue
            (self.still_missing if row.source_state == "missing" else self.missing).append(key)


def plan_transfer(
    listing: Iterable[SourceFile],
    base: Mapping[str, BaseRow],
    sources: Sequence[MediaSource],
    *,
    now: datetime,
    unlisted: Collection[str] = (),
    batch_files: int = BATCH_FILES,
    batch_bytes: int = BATCH_BYTES,
) -> TransferPlan:
    """Decide what moves. Pure: looks at nothing but its arguments.

    Args:
        listing: files of all ``sources``, each key once.
        base: rows of ``media`` at the base commit, by key. Rows of other sources are let be.
        sources: those that were listed; give names and ``min_age``.
        now: aware; ages are counted from it.
        unlisted: key prefixes that could not be listed: their rows are not missing.
        batch_files, batch_bytes: limits of one batch; a larger file is a batch of its own.
    """
    planner = Planner(
        base,
        sources,
        now=now,
        unlisted=unlisted,
        batch_files=batch_files,
        batch_bytes=batch_bytes,
    )
    batches = tuple(planner.batches(listing))
    return TransferPlan(
        batches=batches,
        unchanged=planner.unchanged,
        deferred=tuple(planner.deferred),
        returned=tuple(planner.returned),
        missing=tuple(planner.missing),
        still_missing=tuple(planner.still_missing),
    )
