"""A repository's names: branches, tags, commits and the refs that lead to them."""

from __future__ import annotations

import threading

from services.lakefs_fake import history, names
from services.lakefs_fake.errors import Forbidden, Invalid, NotFound, Taken
from services.lakefs_fake.history import Commit
from services.lakefs_fake.tree import Entry, Staged, View


class Branch:
    def __init__(self, commit: str) -> None:
        self.commit = commit
        self.staged = Staged()


class Refs:
    """Hold ``lock`` to read or change more than one thing at a moment."""

    def __init__(self, default_branch: str, first: Commit) -> None:
        names.check_branch(default_branch)
        self.default_branch = default_branch
        self.lock = threading.RLock()
        self.commits: dict[str, Commit] = {first.id: first}
        self.branches = {default_branch: Branch(first.id)}
        self.tags: dict[str, str] = {}

    def resolve(self, text: str) -> Commit:
        """The commit of a branch, tag, commit id, the start of one, or a relative ref."""
        ref = names.parse_ref(text)
        with self.lock:
            name = self._base(ref.base)
            if ref.mark and ref.base not in self.branches:
                raise Invalid(f"ref {text!r}: {ref.mark} stands behind a branch only")
            if ref.mark == "$":
                raise Invalid(f"ref {text!r}: what is staged is no commit")
            for sign, number in ref.steps:
                for _ in range(number if sign == "~" else min(number, 1)):
                    parents = self.commits[name].parents
                    at = 0 if sign == "~" else number - 1
                    if at >= len(parents):
                        error = NotFound if sign == "~" else Invalid
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
            if branch is None or ref.steps or ref.mark == "@":
                return View(self.resolve(text).tree)
            return View(self.commits[branch.commit].tree, branch.staged)

    def merge_base(self, one: str, other: str) -> tuple[Commit, Commit, Commit]:
        """The commits of two refs, and the nearest one that both reach."""
        with self.lock:
            left, right = self.resolve(one), self.resolve(other)
            return left, right, history.merge_base(self.commits, left.id, right.id)

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
