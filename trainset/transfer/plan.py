"""Which files must move: the listing minus what the media table of the base commit says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal, NamedTuple

from trainset.spec import MediaSource
from trainset.transfer.base import Outcome, SourceFile, deferred, failed, skipped
from trainset.transfer.base_rows import BaseFiles, BaseRow, BaseRows
from trainset.transfer.route import HOME, Decision

BATCH_FILES = 2_000
BATCH_BYTES = 20 * 10**9
_LOOKED_UP = 1_024  # files at once; so many of the listing are held beside a batch

Batch = tuple[SourceFile, ...]
Route = Callable[[SourceFile], Decision]  # by the listing alone; ``Router.route``


class Planned(NamedTuple):
    """What a plan says of one listed file.

    what: unchanged (the base holds this version), move (in a batch), young (waits), skip (a rule
        takes no such file), fail (no rule takes it, and the spec wants one).
    decision: where it goes; of unchanged files nobody asks.
    known: the base has a row of it. returned: the row says missing, and the file is back as it was.
    """

    file: SourceFile
    what: Literal["unchanged", "move", "young", "skip", "fail"]
    decision: Decision | None = None
    known: bool = False
    returned: bool = False


@dataclass(frozen=True)
class TransferPlan:
    """A plan: every listed file is unchanged, in one batch, or has its outcome already.

    Attributes:
        outcomes: of files that wait, that a rule skips, and that no rule takes.
        returned: keys among the unchanged whose row says missing: the row must say present again.
        missing: keys of rows that say present and whose file was not listed any more.
        still_missing: keys of rows that said missing before, and are not listed now either.
    """

    batches: tuple[Batch, ...]
    unchanged: int
    outcomes: tuple[Outcome, ...]
    returned: tuple[str, ...]
    missing: tuple[str, ...]
    still_missing: tuple[str, ...]

    @property
    def files(self) -> int:
        return sum(len(batch) for batch in self.batches)

    @property
    def bytes(self) -> int:
        return sum(file.size for batch in self.batches for file in batch)

    @property
    def deferred(self) -> tuple[Outcome, ...]:
        return tuple(o for o in self.outcomes if o.status == "deferred")


class Planner:
    """Plans while the listing is read: holds one batch and the index, never the listing.

    First ``batches`` (or ``decide``) to its end, then ``missing``. See ``plan_transfer``.

    Attributes:
        unchanged: files so far that the base holds in this version.
    """

    def __init__(
        self,
        base: BaseFiles,
        sources: Sequence[MediaSource],
        *,
        now: datetime,
        route: Route | None = None,
        unlisted: Collection[str] = (),
        gone: Container[str] = (),
        batch_files: int = BATCH_FILES,
        batch_bytes: int = BATCH_BYTES,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
        on_returned: Callable[[str], None] = lambda key: None,
    ) -> None:
        """See ``plan_transfer``.

        Args:
            gone: keys whose pinned version is not there any more (``pins.gone_pins``): they are
                adopted again, though size and ETag are as they were.
            on_outcome: told of each file that no batch holds and the base does not either.
            on_returned: told of each key whose row must say present again.
        """
        self.unchanged = 0
        self._base, self._now, self._unlisted, self._gone = base, now, unlisted, gone
        self._route: Route = route or (lambda file: HOME)
        self._min_age = {s.name: s.min_age for s in sources}
        self._files, self._bytes = batch_files, batch_bytes
        self._on_outcome, self._on_returned = on_outcome, on_returned
        self._whole = False  # whether the listing was read to its end

    def batches(self, listing: Iterable[SourceFile]) -> Iterator[Batch]:
        """The files that move, in the order of the listing."""
        batch: list[SourceFile] = []
        size = 0
        for planned in self.decide(listing):
            file = planned.file
            if planned.what != "move":
                self._tell(planned)
                continue
            if batch and (len(batch) >= self._files or size + file.size > self._bytes):
                yield tuple(batch)
                batch, size = [], 0
            batch.append(file)
            size += file.size
        if batch:
            yield tuple(batch)

    def decide(self, listing: Iterable[SourceFile]) -> Iterator[Planned]:
        """What becomes of each listed file, in the order of the listing."""
        files = iter(listing)
        while chunk := list(islice(files, _LOOKED_UP)):
            found = self._base.find([(f.key, f.size, f.version) for f in chunk])
            for file, known, same, missing in zip(chunk, *found, strict=True):
                yield self._decide(file, known, same, missing)
        self._whole = True

    def missing(self) -> Iterator[tuple[str, bool]]:
        """(key, whether the row says missing already) of rows whose file was not listed."""
        if not self._whole:
            raise RuntimeError("what is missing is known when the listing was read to its end")
        blind = tuple(self._unlisted)
        for key, was_missing in self._base.unseen():
            # Of a source that was not listed, or not there, nothing is known.
            if key.split("/", 1)[0] in self._min_age and not key.startswith(blind):
                yield key, was_missing

    def _decide(self, file: SourceFile, known: bool, same: bool, missing: bool) -> Planned:
        if same and file.key not in self._gone:
            self.unchanged += 1
            return Planned(file, "unchanged", known=True, returned=missing)
        decision = self._route(file)
        if decision.action in ("skip", "fail"):
            return Planned(file, decision.action, decision, known)
        return Planned(file, "young" if self._too_young(file) else "move", decision, known)

    def _tell(self, planned: Planned) -> None:
        if planned.what == "unchanged":
            if planned.returned:
                self._on_returned(planned.file.key)
        elif planned.what == "young":
            self._on_outcome(self._defer(planned.file))
        elif planned.decision is not None:
            self._on_outcome(turned_away(planned.file, planned.decision))

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


def turned_away(file: SourceFile, decision: Decision) -> Outcome:
    """The outcome of a file that the spec's rules do not take."""
    if decision.action == "fail":
        return failed(file, "unmatched", f"{file.uri}: {decision.reason}")
    kind = "unmatched" if decision.rule is None else "skipped-by-rule"
    return skipped(file, kind, decision.reason or "", route=decision.rule)


def plan_transfer(
    listing: Iterable[SourceFile],
    base: BaseFiles | Mapping[str, BaseRow],
    sources: Sequence[MediaSource],
    *,
    now: datetime,
    route: Route | None = None,
    unlisted: Collection[str] = (),
    batch_files: int = BATCH_FILES,
    batch_bytes: int = BATCH_BYTES,
) -> TransferPlan:
    """Decide what moves. Pure: looks at nothing but its arguments; ``Planner`` holds less.

    Args:
        listing: files of all ``sources``, each key once.
        base: rows of ``media`` at the base commit, by key. Rows of other sources are let be.
        sources: those that were listed; give names and ``min_age``.
        now: aware; ages are counted from it.
        route: the spec's rules (``Router.route``); None: every file goes to the home. Files that
            the base holds already stay, whatever the rules say now.
        unlisted: key prefixes that could not be listed: their rows are not missing.
        batch_files, batch_bytes: limits of one batch; a larger file is a batch of its own.
    """
    outcomes: list[Outcome] = []
    returned: list[str] = []
    planner = Planner(
        BaseRows(base) if isinstance(base, Mapping) else base,
        sources,
        now=now,
        route=route,
        unlisted=unlisted,
        batch_files=batch_files,
        batch_bytes=batch_bytes,
        on_outcome=outcomes.append,
        on_returned=returned.append,
    )
    batches = tuple(planner.batches(listing))
    absent = list(planner.missing())
    return TransferPlan(
        batches=batches,
        unchanged=planner.unchanged,
        outcomes=tuple(outcomes),
        returned=tuple(returned),
        missing=tuple(key for key, was_missing in absent if not was_missing),
        still_missing=tuple(key for key, was_missing in absent if was_missing),
    )
