"""One repository: branches with what is staged on them, commits and tags; every step is atomic."""

from __future__ import annotations

import fnmatch
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from services.lakefs_fake import history, merging, names
from services.lakefs_fake.errors import (
    Conflict,
    Exists,
    Forbidden,
    Invalid,
    NotFound,
    Protected,
    Taken,
)
from services.lakefs_fake.history import Commit
from services.lakefs_fake.tree import Entry, Staged, Tree, View

USER = "fake"
_STRATEGY = ".lakefs.merge.strategy"  # lakeFS's own key in a merge's metadata


class Branch:
    def __init__(self, commit: str) -> None:
        self.commit = commit
        self.staged = Staged()


class Repository:
    """State in memory behind one lock; hold ``lock`` to read more than one thing of a moment."""

    def __init__(self, name: str, namespace: str, default_branch: str) -> None:
        names.check_repository(name)
        names.check_branch(default_branch)
        self.name, self.namespace, self.default_branch = name, namespace, default_branch
        self.created = time.time()
        self.lock = threading.RLock()
        self.protected: list[str] = []  # patterns
        self.tags: dict[str, str] = {}
        self.commits: dict[str, Commit] = {}
        first = self._add(Tree({}), (), "Repository created", {})
        self.branches = {default_branch: Branch(first.id)}

    # -- refs

    def resolve(self, text: str) -> Commit:
        """The commit of a branch, tag, commit id, the start of one, or a relative ref."""
        ref = names.parse_ref(text)
        with self.lock:
            name = self._base(ref.base)
            for mark, number in ref.steps:
                for _ in range(number if mark == "~" else min(number, 1)):
                    parents = self.commits[name].parents
                    at = 0 if mark == "~" else number - 1
                    if at >= len(parents):
                        error = NotFound if mark == "~" else Invalid
                        raise error(f"ref {text!r}: no such parent")
                    name = parents[at]
            return self.commits[name]

    def _base(self, name: str) -> str:
        if name in self.commits:
            return name
        if name in self.branches:
            return self.branches[name].commit
        if name in self.tags:
            return self.tags[name]
        found = [commit for commit in self.commits if commit.startswith(name)]
        if len(found) != 1:
            raise NotFound(f"ref {name!r} not found")
        return found[0]

    def view(self, text: str) -> View:
        """What a reader of the ref sees: of a branch also what is staged."""
        with self.lock:
            ref = names.parse_ref(text)
            branch = self.branches.get(ref.base)
            if branch is None or ref.steps or ref.committed_only:
                return View(self.resolve(text).tree)
            return View(self.commits[branch.commit].tree, branch.staged)

    def entry(self, ref: str, path: str) -> Entry:
        with self.lock:
            entry = self.view(ref).get(path)
        if entry is None:
            raise NotFound(f"{path!r} not found at {ref!r}")
        return entry

    def branch(self, name: str) -> Branch:
        names.check_branch(name)
        with self.lock:
            if name not in self.branches:
                raise NotFound(f"branch {name!r} not found")
            return self.branches[name]

    def create_branch(self, name: str, source: str) -> Commit:
        names.check_branch(name)
        with self.lock:
            self._check_free(name, "branch")
            commit = self.resolve(source)
            self.branches[name] = Branch(commit.id)
        return commit

    def delete_branch(self, name: str) -> None:
        with self.lock:
            if name == self.default_branch:
                raise Forbidden("the default branch cannot be deleted")
            self.branch(name)
            del self.branches[name]

    def create_tag(self, name: str, ref: str) -> Commit:
        names.check_tag(name)
        with self.lock:
            self._check_free(name, "tag")
            commit = self.resolve(ref)
            self.tags[name] = commit.id
        return commit

    def delete_tag(self, name: str) -> None:
        with self.lock:
            if self.tags.pop(name, None) is None:
                raise NotFound(f"tag {name!r} not found")

    def _check_free(self, name: str, kind: str) -> None:
        """Branches, tags and commits share their names."""
        if name in self.branches or name in self.tags or name in self.commits:
            raise Taken(f"{kind} {name!r}: a branch, tag or commit of this name exists")

    # -- what is staged

    def stage(
        self, branch: str, path: str, entry: Entry | None, *, if_absent: bool = False
    ) -> None:
        """Write or, with None, delete one path."""
        if not path:
            raise Invalid("path: a value is required")
        with self.lock:
            found = self._writable(branch)
            committed = self.commits[found.commit].tree
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
        return self.branch(name)

    def is_protected(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.protected)

    def uncommitted(self, name: str) -> dict[str, merging.Change]:
        with self.lock:
            branch = self.branch(name)
            committed = self.commits[branch.commit].tree.entries
            staged = branch.staged.entries
            mine = {path: entry for path, entry in staged.items() if entry is not None}
            old = {path: committed[path] for path in staged if path in committed}
            return merging.diff(old, mine)

    # -- commits

    def commit(
        self, name: str, message: str, metadata: Mapping[str, str], *, allow_empty: bool = False
    ) -> Commit:
        with self.lock:
            if self.is_protected(name):
                raise Protected("cannot commit to protected branch")
            branch = self.branch(name)
            found = self.commits[branch.commit].tree
            if self.uncommitted(name):
                found = Tree(View(found, branch.staged).entries())
            elif not allow_empty:
                raise Invalid("commit: no changes")
            return self._advance(branch, found, (), message, metadata)

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
            theirs, ours = self.resolve(source), self.commits[branch.commit]
            base = history.merge_base(self.commits, theirs.id, ours.id)
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
        with self.lock:
            bad = self.resolve(ref)
            if len(bad.parents) > 1 and parent <= 0:
                raise Conflict("a merge is reverted relative to a parent: give its number")
            if parent > len(bad.parents):
                raise Invalid(f"the commit has no parent {parent}")
            branch = self._clean(name)
            before: Mapping[str, Entry] = {}
            if bad.parents:
                before = self.commits[bad.parents[max(parent, 1) - 1]].tree.entries
            ours = self.commits[branch.commit].tree.entries
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
            old = self.commits[branch.commit].tree.entries
            kept = {path: e for path, e in old.items() if not path.startswith(tuple(prefixes))}
            noted = {**metadata, _STRATEGY: "source-wins"}
            return self._advance(branch, Tree(kept | dict(entries)), (), message, noted)

    def _clean(self, name: str) -> Branch:
        """A branch that a commit may be put on from outside."""
        if self.uncommitted(name):
            raise Invalid(f"{name}: uncommitted changes (dirty branch)")
        return self.branch(name)

    def _advance(
        self,
        branch: Branch,
        found: Tree,
        others: tuple[str, ...],
        message: str,
        metadata: Mapping[str, str],
    ) -> Commit:
        made = self._add(found, (branch.commit, *others), message, metadata)
        branch.commit, branch.staged = made.id, Staged()
        return made

    def _add(
        self, found: Tree, parents: tuple[str, ...], message: str, metadata: Mapping[str, str]
    ) -> Commit:
        generation = 1 + max((self.commits[name].generation for name in parents), default=0)
        made = Commit(found, parents, message, metadata, USER, time.time(), generation)
        self.commits[made.id] = made
        return made
