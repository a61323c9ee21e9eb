"""Garbage collection of a home: what would go, in words; and the removal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from trainset.errors import InputError
from trainset.home import Home, open_home
from trainset.model import GIT, Credentials, Frozen
from trainset.report.wording import many, size
from trainset.run.context import no_new_runs
from trainset.spec import DatasetSpec
from trainset.versions.collect import (
    Collected,
    CollectPlan,
    Garbage,
    apply_collection,
    list_stored,
    plan_collection,
)
from trainset.versions.git import GitVersions
from trainset.versions.reach import find_reach

KEEP_DAYS = 7.0
_KINDS = {
    "table": ("table file", "table files"),
    "file": ("file of metadata or provenance", "files of metadata and provenance"),
    "media": ("medium", "media"),
    "pack": ("git pack file", "git pack files"),
}


class CollectWork(Frozen):
    """One collection. ``now`` is the clock's; what changed in the last ``keep_days`` days stays.

    Attributes:
        apply: remove; else only say what would go.
        hidden: on a bucket that keeps versions: remove for good, old versions too.
    """

    spec: DatasetSpec
    now: datetime
    keep_days: float = KEEP_DAYS
    apply: bool = False
    hidden: bool = False
    credentials: Credentials | None = None


class CollectReport(Frozen):
    """``plan`` is what was found; ``done`` what was removed of it, None in a dry run."""

    plan: CollectPlan
    keep_days: float
    hidden: bool = False
    at_work: tuple[str, ...] = ()
    done: Collected | None = None

    @property
    def said(self) -> str:
        """The report in one line."""
        return "; ".join(self.lines)

    @property
    def lines(self) -> list[str]:
        """The report as people read it."""
        plan, done = self.plan, self.done
        now = [g for g in plan.remove if not g.hidden]
        old = [g for g in plan.remove if g.hidden]
        if done is None:
            lines = [f"would remove {_tally(plan.remove if self.hidden else now)}"]
        else:
            lines = [f"removed {_tally(done.removed)}"]
        if old and not self.hidden:
            lines.append(f"hidden versions that nothing needs, with --hidden: {_tally(old)}")
        if plan.young:
            lines.append(f"waits until it is {self.keep_days:g} days old: {_tally(plan.young)}")
        if plan.kept_media:
            runs = ", ".join(self.at_work)
            lines.append(f"stays while {runs} is at work: {_tally(plan.kept_media)}")
        for key, reason in done.refused if done else ():
            lines.append(f"not removed: {key}: {reason}")
        if done is None and plan.remove:
            lines.append("nothing was removed; --apply removes it")
        return lines


def collect_garbage(
    work: CollectWork, *, progress: Callable[[int], None] = lambda _: None
) -> CollectReport:
    """Find what no ref, no run and no retention needs; remove it where ``work.apply`` says so.

    Nothing on this machine begins a run or moves a ref while it is removed; killed and run again,
    it goes on. Runs of other machines are known by what they committed: let ``keep_days`` be more
    than the longest of them takes.

    Raises:
        InputError: the home's versions are not in its git store.
    """
    if work.spec.versions != GIT:
        raise _not_ours(work.spec.home)
    home = open_home(work.spec.home, credentials=work.credentials, options=work.spec.store_options)
    versions = _git_versions(home)
    with no_new_runs(home) as at_work, versions.lock:
        reach = find_reach(versions)
        plan = plan_collection(
            list_stored(versions, reach),
            reach,
            media=home.config.media,
            before=work.now - timedelta(days=work.keep_days),
            runs_at_work=bool(at_work),
        )
        done = None
        if work.apply:
            done = apply_collection(home.store, plan, hidden=work.hidden, progress=progress)
            versions.forget_checkouts(reach.commits)
    return CollectReport(
        plan=plan,
        keep_days=work.keep_days,
        hidden=work.hidden,
        at_work=tuple(at_work),
        done=done,
    )


def _git_versions(home: Home) -> GitVersions:
    if not isinstance(home.versions, GitVersions):
        raise _not_ours(home.url)
    return home.versions


def _not_ours(url: str) -> InputError:
    return InputError(
        f"{url} keeps its versions in lakeFS, which has a garbage collection of its own; "
        "this one is for homes with 'versions: git'"
    )


def _tally(items: Iterable[Garbage]) -> str:
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for item in items:
        counts[item.kind] += 1
        sizes[item.kind] += item.size
    return (
        ", ".join(
            f"{many(counts[kind], *words)} ({size(sizes[kind])})"
            for kind, words in _KINDS.items()
            if counts[kind]
        )
        or "nothing"
    )
