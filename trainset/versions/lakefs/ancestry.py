"""Where two commits part, counting a branch that was merged by row as a parent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainset.versions.lakefs.commits import is_setup, spirit_parents

if TYPE_CHECKING:
    from trainset.versions.lakefs.commits import LakeFSCommits

Parents = dict[str, tuple[str, ...]]


def common_ancestor(versions: LakeFSCommits, one: str, other: str) -> str | None:
    """The newest commit of the dataset that both descend from (or are), or None."""
    parents: Parents = {}
    mine, theirs = (_ancestors(versions, commit, parents) for commit in (one, other))
    shared = mine & theirs
    # Whatever is a parent of a shared commit is shared as well, and older than that one.
    older = {parent for commit in shared for parent in parents[commit]}
    return max(shared - older, default=None)


def _ancestors(versions: LakeFSCommits, commit: str, parents: Parents) -> set[str]:
    """A commit and all of the dataset's before it; fills in ``parents``."""
    todo, seen, before_all = [commit], set(), set()
    while todo:
        at = todo.pop()
        if at in seen or at in before_all:
            continue
        if at not in parents:
            for raw in versions.repository.log(at):
                if is_setup(raw):
                    before_all.add(raw.id)
                else:
                    parents[raw.id] = spirit_parents(raw)
        if at not in before_all:
            seen.add(at)
            todo += parents[at]
    return seen
