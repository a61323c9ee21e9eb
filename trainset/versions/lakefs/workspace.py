"""``LakeFSWorkspace``: a run branch on the server; what is written is staged there until a commit.

Every run also writes ``.trainset/run.json``, with other bytes than any run before it. So two runs
from one base always touch the same path, and the server itself refuses the later merge, in the very
step that would move main: no merge of files that happen to lie apart can slip through.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainset.errors import InputError
from trainset.model import Commit, Frozen
from trainset.tables.base import TableLocation
from trainset.versions.base import FileChange, MediaLink, MediaLinks
from trainset.versions.lakefs.files import MEDIA, user_files
from trainset.versions.lakefs.links import as_entries, link_branch, list_links
from trainset.versions.lakefs.objects import Change
from trainset.versions.pool import measure
from trainset.versions.refs import check_name
from trainset.versions.tree import check_path, check_shape, missing_file
from trainset.versions.workspace import not_new

if TYPE_CHECKING:
    from trainset.versions.lakefs.runs import RunBranches

LINKED = "trainset.linked"  # metadata of a commit that links every medium of its rows
PATHS_A_REQUEST = 50  # they travel in the address of the request


class Note(Frozen):
    """``.trainset/run.json``.

    Attributes:
        fork: the commit that the branch began at.
        into: the lakeFS branch that the run merges into.
    """

    run_id: str
    fork: str
    into: str

    def encode(self) -> bytes:
        return (json.dumps(self.model_dump(), indent=2) + "\n").encode()


class LakeFSWorkspace:
    """See ``Workspace``.

    Attributes:
        branch: the run's branch as lakeFS calls it.
    """

    def __init__(
        self, versions: RunBranches, *, branch: str, note: Note, base: Commit | None
    ) -> None:
        self.run_id, self.base, self.branch, self.note = note.run_id, base, branch, note
        self._versions = versions
        self.linked = False  # whether every medium of this run's rows is linked
        self._put: dict[str, str] = {}  # sha256 of immutable files that this process added
        self.files = versions.files(branch, where=f"run {note.run_id}")
        self.old = versions.files(note.fork, where=f"the base of run {note.run_id}")

    def tables(self) -> Sequence[str]:
        return list(self.files.tables())

    def table(self, name: str) -> TableLocation:
        if "/" in check_name("table", name):
            raise InputError(f"{name!r} is no valid name of a table: take out the '/'")
        return self.files.location(name)

    def read(self, path: str) -> bytes:
        return self.files.read(path)

    def fetch(self, path: str) -> Path:
        return self.files.fetch(path)

    def list(self, prefix: str = "") -> Sequence[str]:
        return self.files.list(prefix)

    def write(self, path: str, data: bytes) -> None:
        self.files.gateway.put(self.files.key(check_path(path)), data)

    def put_file(self, path: str, local: Path) -> None:
        here = measure(check_path(path), local)
        if (there := self.old.sha256(path)) is None:
            self.files.gateway.put_file(self.files.key(path), local)
            self._put[path] = here.sha256
        elif there != here.sha256:
            raise not_new(path, "its base commit")

    def remove(self, path: str) -> None:
        if self.files.repository.stat(self.branch, check_path(path)) is None:
            raise missing_file(path, f"run {self.run_id}", self.list())
        self.files.repository.delete(self.branch, [path])

    def link_media(
        self,
        media: Iterable[MediaLink],
        *,
        before: Iterable[MediaLink] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> MediaLinks:
        """See ``Workspace.link_media``. Links that this run staged before are listed, and kept."""
        repository, there = self.files.repository, None
        if before is not None and self._base_is_linked() and not self._has_links_staged():
            there = as_entries(before)
        links = link_branch(
            self._versions,
            self.branch,
            list_links(repository, self.branch) if there is None else there,
            media,
            progress,
        )
        self.linked = not links.refused
        return links

    def _base_is_linked(self) -> bool:
        fork = self.files.repository.commit(self.note.fork)
        return fork is not None and LINKED in fork.metadata

    def _has_links_staged(self) -> bool:
        """Also of a commit that was not merged: then the branch is not the base's any more."""
        repository = self.files.repository
        if repository.branch(self.branch) != self.note.fork:
            return True
        return any(repository.staged(self.branch, MEDIA, most=1))

    def changes(self) -> Mapping[str, FileChange]:
        committed, staged = self._committed(), self._staged()
        found: dict[str, FileChange] = {}
        for path in sorted(committed.keys() | staged.keys()):
            change = staged.get(path) or committed[path]
            if path in committed and path in staged and self._as_before(path):
                continue
            found[path] = change.kind
        return found

    def commit(
        self, message: str, metadata: Mapping[str, str], *, merged: str | None = None
    ) -> Commit | None:
        """See ``Workspace.commit``; ``merged`` is a commit that becomes the second parent."""
        check_shape(self.list())
        changes = self.changes()
        same = not changes and self.files.tables() == self.old.tables() and merged is None
        if same and not self._has_links_staged():
            return None
        self._check_new()
        return self._versions.commit_run(self, message, metadata, merged)

    def merge(self) -> Commit:
        return self._versions.merge_run(self)

    def discard(self) -> None:
        self._versions.end_run(self.branch)

    def _check_new(self) -> None:
        """Raises InputError when an older commit pins other bytes at a path that was put."""
        repository, paths = self.files.repository, list(self._put)
        for start in range(0, len(paths), PATHS_A_REQUEST):
            some = paths[start : start + PATHS_A_REQUEST]
            for commit in repository.log(self.note.fork, paths=some):
                for ref in (commit.id, *commit.parents[:1]):
                    held = self._versions.files(ref, where=f"commit {ref[:12]}")
                    for path in some:
                        if held.sha256(path) not in (None, self._put[path]):
                            raise not_new(path, f"commit {ref[:12]}")

    def _committed(self) -> dict[str, Change]:
        repository, tip = self.files.repository, self.files.repository.branch(self.branch)
        if tip is None or tip == self.note.fork:
            return {}

        def listing(prefix: str, folders: bool) -> Iterator[Change]:
            return repository.changed(self.note.fork, tip, prefix, folders=folders)

        return {change.path: change for change in user_files(listing)}

    def _staged(self) -> dict[str, Change]:
        def listing(prefix: str, folders: bool) -> Iterator[Change]:
            return self.files.repository.staged(self.branch, prefix, folders=folders)

        return {change.path: change for change in user_files(listing)}

    def _as_before(self, path: str) -> bool:
        stat = self.files.repository.stat
        before, now = stat(self.note.fork, path), stat(self.branch, path)
        if before is None or now is None:
            return before is now
        return (before.checksum, before.size) == (now.checksum, now.size)
