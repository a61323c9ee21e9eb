"""Healing branches of a bucket that two machines moved at the same moment, each believing it won.

An older version of a ref's object may show only after a writer has looked (see ``bucket``). That
writer was told "merged", and its commit is not on the branch. Such a commit is found again by the
version that its writer did not take back, and merged by row, so that it is on the branch for ever.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from trainset.errors import ConflictError
from trainset.versions.base import MAIN
from trainset.versions.publish import publish
from trainset.versions.refs import HEADS, RUNS

if TYPE_CHECKING:
    from trainset.versions.git import GitVersions

_log = logging.getLogger(__name__)


def heal_forks(versions: GitVersions) -> None:
    """Merge every commit that was told to be on a branch and is not. Repeating it is safe.

    A commit that a run's branch still holds was told nothing: its writer will replay it, or whoever
    ends the run takes its version back.
    """
    for name, commit in versions.moving.forks():
        refs = versions.refs()
        tip = refs.get(name)
        if tip is None:
            continue  # the branch was deleted since
        if versions.mirror and not versions.repository.has(commit):
            versions.mirror.pull()
        if versions.repository.reaches(tip, commit):
            continue
        if name == HEADS + MAIN:
            # Both published: what lies under names that both gave is either's.
            fork = versions.repository.merge_base(tip, commit)
            publish(versions.home.store, versions.repository, tip, since=fork)
        if commit not in {c for ref, c in refs.items() if ref.startswith(RUNS)}:
            _merge(versions, name.removeprefix(HEADS), commit)


def _merge(versions: GitVersions, branch: str, commit: str) -> None:
    try:
        versions.merge(commit, branch, message=f"Take in {commit[:12]}, which a race left beside")
    except ConflictError as err:
        _log.warning(
            "commit %s was merged into %s at the same moment as another, which counts; it cannot "
            "be taken in by itself: %s",
            *(commit[:12], branch, err),
        )
