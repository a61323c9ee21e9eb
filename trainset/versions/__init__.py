"""Versions: branches, commits, tags and merges over tables and files together (see ``base``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainset.home import Home
    from trainset.versions.base import VersionStore

__all__ = ["open_versions"]


def open_versions(home: Home) -> VersionStore:
    """The version store of a home; finishes first what a killed process left half done."""
    if home.config.versions == "git":
        from trainset.versions.git import GitVersions

        git = GitVersions(home)
        git.repair()
        return git
    from trainset.versions.lakefs.home import open_repository
    from trainset.versions.lakefs.store import LakeFSVersions

    repository = open_repository(home.config.versions, home.lakefs)
    versions = LakeFSVersions(repository, home.state / "cache" / "lakefs")
    versions.repair()
    return versions
