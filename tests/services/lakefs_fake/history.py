"""Commits: their ids, the log, and where two histories parted."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from services.lakefs_fake.tree import Tree


@dataclass(frozen=True)
class Commit:
    tree: Tree
    parents: tuple[str, ...]
    message: str
    metadata: Mapping[str, str]
    committer: str
    created: float  # seconds
    generation: int
    id: str = field(init=False)

    def __post_init__(self) -> None:
        # Whole seconds, as in lakeFS: the same change made twice in a second is one commit.
        said = [self.message, dict(self.metadata), int(self.created)]
        facts = [self.tree.id, self.parents, *said]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        object.__setattr__(self, "id", digest)


def log(
    commits: Mapping[str, Commit], start: str, *, first_parent: bool = False
) -> Iterator[Commit]:
    """Every commit that ``start`` reaches, newest first."""
    seen = {start}
    queue = [(-commits[start].created, start)]
    while queue:
        commit = commits[heapq.heappop(queue)[1]]
        yield commit
        for parent in commit.parents[:1] if first_parent else commit.parents:
            if parent not in seen:
                seen.add(parent)
                heapq.heappush(queue, (-commits[parent].created, parent))


def merge_base(commits: Mapping[str, Commit], left: str, right: str) -> Commit:
    """The nearest commit that both reach: parents are visited by falling generation."""
    if left == right:
        return commits[left]
    reached = {left: 1, right: 2}
    queue = [(-commits[name].generation, name) for name in (left, right)]
    heapq.heapify(queue)
    while queue:
        name = heapq.heappop(queue)[1]
        for parent in commits[name].parents:
            if parent not in reached:
                heapq.heappush(queue, (-commits[parent].generation, parent))
            reached[parent] = reached.get(parent, 0) | reached[name]
            if reached[parent] == 3:
                return commits[parent]
    raise AssertionError("commits of one repository share its first commit")
