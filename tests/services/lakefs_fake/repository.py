"""One repository: branches with what is staged on them, commits and tags; every step is atomic."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from services.lakefs_fake import merging, names
from services.lakefs_fake.errors import Conflict, Exists, Invalid, Protected
from services.lakefs_fake.history import Commit
from services.lakefs_fake.refs import Branch, Refs
from services.lakefs_fake.tree import Entry, Staged, Tree, View

USER = "fake"
_STRATEGY = ".lakefs.merge.strategy"  # lakeFS's own key in a merge's metadata


class Repository:
    """State in memory behind one lock; hold ``lock`` to read more than one thing of a moment."""

    def __init__(self, name: str, namespace: str, default_branch: str) -> None:
        names.check_repository(name)
        first = Commit(Tree({}), (), "Repository created", {}, USER, time.time(), 1)
        self.name, self.namespace = name, namespace
        self.created = time.time()
        self.refs = Refs(default_branch, first)
        self.lock = self.refs.lock
        self.protected: list[str] = []  # patterns

    # -- what is staged

    def stage(
        self, branch: str, path: str, entry: Entry | None, *, if_absent: bool = False
    ) -> None:
        """Write or, with None, delete one path."""
        if not path:
            raise Invalid("path: a value is required")
        with self.lock:
            found = self._writable(branch)
            committed = self.refs.commits[found.commit].tree
            view = View(committed, found.staged)
            if if_absent and view.get(path) is not None:
                raise Exists("path already exists")
            if entry is not None or view.get(path) is not None:
                found.staged.set(path, entry)

    def reset(self, branch: str, fits: Callable[[str], bool]) -> None:
        with self.lock:
            self._writable(branch).staged.drop(fits)

    def _writable(self, name: str) -> Branch:
        if self.is_protected(name):
            raise Protected("cannot write to protected branch")
        return self.refs.branch(name)

    def is_protected(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.protected)

    def uncommitted(self, name: str) -> dict[str, merging.Change]:
        with self.lock:
            branch = self.refs.branch(name)
            committed = self.refs.commits[branch.commit].tree.entries
            staged = branch.staged.entries
            mine = {path: entry for path, entry in staged.items() if entry is not None}
            old = {path: committed[path] for path in staged if path in committed}
            found = merging.diff(old, mine)
        return {  # lakeFS gives a staged deletion no size
            path: change._replace(entry=replace(change.entry, size=0))
            if change.kind == "removed"
            else change
            for path, change in found.items()
        }

    # -- commits

    def commit(self, name: str, message: str, wanted: Mapping[str, Any]) -> Commit:
        """Args: wanted: metadata, date (Unix time) and allow_empty of the API."""
        with self.lock:
            if self.is_protected(name):
                raise Protected("cannot commit to protected branch")
            branch = self.refs.branch(name)
            found = self.refs.commits[branch.commit].tree
            if self.uncommitted(name):
                found = Tree(View(found, branch.staged).entries())
            elif not wanted.get("allow_empty"):
                raise Invalid("commit: no changes")
            metadata, date = wanted.get("metadata") or {}, wanted.get("date")
            return self._advance(branch, found, (), message, metadata, date)

    def merge(self, source: str, target: str, wanted: Mapping[str, Any]) -> Commit:
        """Three-way over paths; what is staged on the source stays behind.

        Args:
            wanted: message, metadata, strategy, force, allow_empty, squash_merge of the API.
        """
        strategy = wanted.get("strategy") or ""
        if strategy not in ("", "source-wins", "dest-wins"):
            raise Invalid(f"strategy: invalid value {strategy!r}")
        with self.lock:
            branch = self._clean(target)
            theirs, ours, base = self.refs.merge_base(source, target)
            if not (wanted.get("allow_empty") or wanted.get("force")) and not merging.diff(
                base.tree.entries, theirs.tree.entries
            ):
                raise Invalid("no changes")
            merged = merging.merge(
                base.tree.entries, theirs.tree.entries, ours.tree.entries, strategy
            )
            message = wanted.get("message") or f"Merge '{source}' into '{target}'"
            metadata = {**(wanted.get("metadata") or {}), _STRATEGY: strategy or "default"}
            others = () if wanted.get("squash_merge") else (theirs.id,)
            return self._advance(branch, Tree(merged), others, message, metadata)

    def revert(self, name: str, ref: str, parent: int, wanted: Mapping[str, Any]) -> Commit:
        """A new commit that takes the changes of ``ref`` back; of a merge, those since ``parent``.

        Args:
            parent: counts from 1; 0 only for a commit with one parent.
        """
        if parent < 0:
            raise Invalid(f"parent number {parent}")
        with self.lock:
            bad = self.refs.resolve(ref)
            if len(bad.parents) > 1 and parent == 0:
                raise Conflict("a merge is reverted relative to a parent: give its number")
            if parent > len(bad.parents):
                raise Invalid(f"the commit has no parent {parent}")
            branch = self._clean(name)
            before: Mapping[str, Entry] = {}
            if bad.parents:
                before = self.refs.commits[bad.parents[max(parent, 1) - 1]].tree.entries
            ours = self.refs.commits[branch.commit].tree.entries
            merged = merging.merge(bad.tree.entries, before, ours)
            if not wanted.get("allow_empty") and not merging.diff(ours, merged):
                raise Invalid("no changes")
            given = wanted.get("commit_overrides") or {}
            message = given.get("message") or f"Revert {ref}"
            return self._advance(branch, Tree(merged), (), message, given.get("metadata") or {})

    def replace_under(
        self,
        name: str,
        prefixes: list[str],
        entries: Mapping[str, Entry],
        message: str,
        metadata: Mapping[str, str],
    ) -> Commit:
        """An import: one commit in which ``entries`` are all that lies under ``prefixes``."""
        with self.lock:
            branch = self._clean(name)
            old = self.refs.commits[branch.commit].tree.entries
            kept = {path: e for path, e in old.items() if not path.startswith(tuple(prefixes))}
            noted = {**metadata, _STRATEGY: "source-wins"}
            return self._advance(branch, Tree(kept | dict(entries)), (), message, noted)

    def _clean(self, name: str) -> Branch:
        """A branch that a commit may be put on from outside."""
        if self.uncommitted(name):
            raise Invalid(f"{name}: uncommitted changes (dirty branch)")
        return self.refs.branch(name)

    def _advance(
        self,
        branch: Branch,
        found: Tree,
        others: tuple[str, ...],
        message: str,
        metadata: Mapping[str, str],
        date: float | None = None,
    ) -> Commit:
        parents = (branch.commit, *others)
        generation = 1 + max(self.refs.commits[name].generation for name in parents)
        created = time.time() if date is None else date
        made = Commit(found, parents, message, metadata, USER, created, generation)
        self.refs.commits[made.id] = made
        branch.commit, branch.staged = made.id, Staged()
        return made
