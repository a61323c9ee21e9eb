"""Repositories, branches, tags, commits and merges of lakeFS, in plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from trainset.errors import NotFound
from trainset.versions.lakefs.client import Client


class RawCommit(NamedTuple):
    """A commit as lakeFS has it: real parents, all metadata."""

    id: str
    parents: tuple[str, ...]
    message: str
    metadata: Mapping[str, str]
    created_at: datetime


class RefCalls(Client):
    """What moves refs, or reads them."""

    def block_store(self) -> str:
        """The kind of the server's block store: ``s3``, ``local``, …"""
        found = self.call("read its configuration", self.sdk.config_api.get_config)
        store = found.storage_config
        return str(store.blockstore_type) if store is not None else "unknown"

    def server_version(self) -> str:
        """As the server says it: ``1.84.0``, or ``dev`` of one that was built without a number."""
        found = self.call("read its configuration", self.sdk.config_api.get_config)
        version = found.version_config
        return str(version.version) if version is not None else "unknown"

    def namespace(self) -> str | None:
        """The repository's storage namespace; None when there is no such repository."""
        try:
            api = self.sdk.repositories_api.get_repository
            found = self.call(f"open repository {self.name}", api, self.name)
        except NotFound:
            return None
        return str(found.storage_namespace)

    def neighbours(self) -> list[str]:
        """Names of repositories on the server, as far as this key may see them."""
        found = self.pages("list repositories", self.sdk.repositories_api.list_repositories)
        return [str(one.id) for one in found]

    def create(self, namespace: str, main: str) -> None:
        """Make the repository, and protect ``main`` at once: it moves by merge only."""
        body = self.make(
            "name a repository so",
            "RepositoryCreation",
            name=self.name,
            storage_namespace=namespace,
            default_branch=main,
        )
        create = self.sdk.repositories_api.create_repository
        self.call(f"create repository {self.name} at {namespace}", create, body)
        self.protect(main)

    def protect(self, branch: str) -> None:
        """Let ``branch`` move by merge only; other rules stay. Repeating it does nothing."""
        api, what = self.sdk.repositories_api, f"protect {branch}"
        rules = self.call(what, api.get_branch_protection_rules, self.name)
        if all(rule.pattern != branch for rule in rules):
            rules.append(self.make(what, "BranchProtectionRule", pattern=branch))
            self.call(what, api.set_branch_protection_rules, self.name, rules)

    def is_protected(self, branch: str) -> bool:
        """Whether a rule of just this name lets ``branch`` move by merge only."""
        read = self.sdk.repositories_api.get_branch_protection_rules
        rules = self.call(f"read the protection of {branch}", read, self.name)
        return any(rule.pattern == branch for rule in rules)

    def branch(self, name: str) -> str | None:
        """The commit that a branch is at, or None."""
        try:
            api = self.sdk.branches_api.get_branch
            return str(self.call(f"read branch {name}", api, self.name, name).commit_id)
        except NotFound:
            return None

    def branches(self, prefix: str = "") -> dict[str, str]:
        """Commit by branch."""
        found = self.pages(
            "list branches", self.sdk.branches_api.list_branches, self.name, prefix=prefix
        )
        return {branch.id: branch.commit_id for branch in found}

    def create_branch(self, name: str, at: str) -> None:
        """Raises Taken."""
        what = f"create branch {name} at {at[:12]}"
        body = self.make(what, "BranchCreation", name=name, source=at)
        self.call(what, self.sdk.branches_api.create_branch, self.name, body)

    def delete_branch(self, name: str) -> None:
        """Drops what is staged on it, too. Raises NotFound."""
        api = self.sdk.branches_api.delete_branch
        self.call(f"delete branch {name}", api, self.name, name)

    def drop_branch(self, name: str) -> None:
        """As ``delete_branch``; no error where it is gone."""
        with suppress(NotFound):
            self.delete_branch(name)

    def tag(self, name: str) -> str | None:
        """The commit that a tag is at, or None."""
        try:
            api = self.sdk.tags_api.get_tag
            return str(self.call(f"read tag {name}", api, self.name, name).commit_id)
        except NotFound:
            return None

    def tags(self) -> dict[str, str]:
        """Commit by tag."""
        found = self.pages("list tags", self.sdk.tags_api.list_tags, self.name)
        return {tag.id: tag.commit_id for tag in found}

    def create_tag(self, name: str, at: str) -> None:
        """Raises Taken."""
        body = self.make(f"tag {name}", "TagCreation", id=name, ref=at)
        self.call(f"tag {at[:12]} as {name}", self.sdk.tags_api.create_tag, self.name, body)

    def commit(self, commit: str) -> RawCommit | None:
        """A commit by its id, or by the first digits of it, or None."""
        try:
            api = self.sdk.commits_api.get_commit
            return _raw(self.call(f"read commit {commit}", api, self.name, commit))
        except NotFound:
            return None

    def log(
        self, ref: str, *, first_parent: bool = False, paths: Sequence[str] = ()
    ) -> Iterator[RawCommit]:
        """Commits reachable from ``ref``, newest first.

        Args:
            paths: only commits that changed one of these objects; the server then passes merge
                commits over, and shows the commits that they merged.
        """
        found = self.pages(
            f"read the log of {ref[:12]}",
            self.sdk.refs_api.log_commits,
            self.name,
            ref,
            first_parent=first_parent,
            objects=list(paths) or None,
        )
        return map(_raw, found)

    def merge_base(self, ref: str, branch: str) -> str:
        """The newest common ancestor of a ref and a branch."""
        api = self.sdk.refs_api.find_merge_base
        what = f"find where {ref[:12]} and {branch} part"
        return str(self.call(what, api, self.name, ref, branch).base_commit_id)

    def commit_branch(self, branch: str, message: str, metadata: Mapping[str, str]) -> RawCommit:
        """Commit what is staged on ``branch``, be it nothing."""
        what = f"commit on {branch}"
        body = self.make(
            what,
            "CommitCreation",
            message=message,
            metadata=dict(metadata),
            allow_empty=True,
        )
        return _raw(self.call(what, self.sdk.commits_api.commit, self.name, branch, body))

    def merge(self, source: str, into: str, message: str, metadata: Mapping[str, str]) -> str:
        """Merge files, with no strategy ever; returns the merge commit.

        Raises:
            Taken: both sides changed the same path.
            NothingToDo: ``into`` has all of ``source``.
        """
        what = f"merge {source} into {into}"
        body = self.make(what, "Merge", message=message, metadata=dict(metadata))
        api = self.sdk.refs_api.merge_into_branch
        return str(self.call(what, api, self.name, source, into, merge=body).reference)


def _raw(commit: Any) -> RawCommit:
    return RawCommit(
        id=commit.id,
        parents=tuple(commit.parents),
        message=commit.message,
        metadata=commit.metadata or {},
        created_at=datetime.fromtimestamp(commit.creation_date, UTC),
    )
