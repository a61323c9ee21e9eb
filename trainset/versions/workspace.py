"""``GitWorkspace``: a run branch that is being written, in a folder of this machine."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainset.errors import InputError
from trainset.model import Commit
from trainset.tables.base import TableLocation
from trainset.versions.base import FileChange, MediaLink
from trainset.versions.checkout import add_version, checkout_table, clear_leftovers
from trainset.versions.durable import write_whole
from trainset.versions.overlay import Overlay
from trainset.versions.pool import FilePool, Pointer, measure
from trainset.versions.refs import check_name
from trainset.versions.tree import (
    FILES,
    PINS,
    POINTERS,
    TABLES,
    CommitTree,
    check_path,
    check_shape,
    manifest_name,
    missing_file,
)

if TYPE_CHECKING:
    from trainset.tables.base import TableStore
    from trainset.versions.runs import RunBranches

RECORD = "run.json"
NewFiles = list[tuple[Pointer, Path]]


class GitWorkspace:
    """See ``Workspace``. Tables are checked out when they are first asked for.

    Attributes:
        branch: the branch that ``merge`` moves; main unless the run began elsewhere.
    """

    def __init__(
        self,
        versions: RunBranches,
        *,
        run_id: str,
        folder: Path,
        base: Commit | None,
        branch: str,
        tree: CommitTree,
        pool: FilePool,
        tables: TableStore,
    ) -> None:
        self.run_id, self.base, self.branch, self.folder = run_id, base, branch, folder
        self._versions, self._tree, self._pool, self._store = versions, tree, pool, tables
        self._overlay = Overlay(folder / "files")

    def tables(self) -> Sequence[str]:
        made = (self.folder / TABLES).glob("[!.]*")
        written = {p.name for p in made if self._store.exists(TableLocation(str(p)))}
        return sorted(written | self._tree.tables.keys())

    def table(self, name: str) -> TableLocation:
        if "/" in check_name("table", name):
            raise InputError(f"{name!r} is no valid name of a table: take out the '/'")
        target = self.folder / TABLES / name
        if name in self._tree.tables:
            checkout_table(self._tree, name, self._pool, target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
        return TableLocation(uri=str(target))

    def read(self, path: str) -> bytes:
        if (local := self._overlay.local(path)) is not None:
            return local.read_bytes()
        if not self._overlay.is_removed(path) and (data := self._tree.read(path)) is not None:
            return data
        return self.fetch(path).read_bytes()

    def fetch(self, path: str) -> Path:
        if (local := self._overlay.local(path)) is not None:
            return local
        if not self._overlay.is_removed(path):
            if (pointer := self._tree.pointer(path)) is not None:
                return self._pool.fetch(pointer)
            if (data := self._tree.read(path)) is not None:
                copy = self.folder / "fetched" / path
                write_whole(copy, data)
                return copy
        raise missing_file(path, f"run {self.run_id}", self.list())

    def list(self, prefix: str = "") -> Sequence[str]:
        changes = self._overlay.changes()
        paths = set(self._tree.list()) | changes.keys()
        return sorted(p for p in paths if p.startswith(prefix) and changes.get(p) != "removed")

    def link_media(
        self,
        media: Iterable[MediaLink],
        *,
        before: Iterable[MediaLink] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """None: git has no way to name bytes that lie elsewhere; the media table pins them."""

    def changes(self) -> Mapping[str, FileChange]:
        """What this run wrote, put or removed outside its tables, by path."""
        return self._overlay.changes()

    def write(self, path: str, data: bytes) -> None:
        self._overlay.write(check_path(path), data)

    def put_file(self, path: str, local: Path) -> None:
        held = self._tree.pointer(check_path(path))
        if held is not None:
            if measure(path, local) == held:
                return
            raise not_new(path, "its base commit")
        self._overlay.put(path, local)

    def remove(self, path: str) -> None:
        in_base = self._tree.read(path) is not None or self._tree.pointer(path) is not None
        if self._overlay.local(path) is None and (not in_base or self._overlay.is_removed(path)):
            raise missing_file(path, f"run {self.run_id}", self.list())
        self._overlay.remove(path, in_base=in_base)

    def restore_table(self, name: str, source: CommitTree) -> None:
        """Make the newest version of ``name`` hold the rows that commit ``source`` pins."""
        version = source.tables[name]
        if self._tree.tables.get(name) == version:
            return  # on main's line one number is one state
        location = self.table(name)
        add_version(source, name, self._pool, Path(location.uri))
        self._store.open(location).restore(version)

    def commit(
        self, message: str, metadata: Mapping[str, str], *, merged: str | None = None
    ) -> Commit | None:
        """See ``Workspace.commit``; ``merged`` is a commit that becomes the second parent."""
        changes: dict[str, bytes | None] = {}
        new: NewFiles = []
        for name in self.tables():
            self._collect_table(name, changes, new)
        self._collect_files(changes, new)
        self._pool.add(new, check=self._check_free)
        return self._versions.commit_run(self, changes, message, metadata, merged)

    def _check_free(self, pointer: Pointer) -> None:
        """Raises InputError when a commit pins other bytes at this path.

        Other bytes that no commit pins are left by a killed run and may be replaced.
        """
        if ref := self._versions.pinned_by(pointer, self.run_id):
            raise not_new(pointer.path, ref)

    def _collect_table(self, name: str, changes: dict[str, bytes | None], new: NewFiles) -> None:
        folder = self.folder / TABLES / name
        if not folder.exists():
            return  # never asked for: as in the base
        table = self._store.open(TableLocation(str(folder)))
        if table.version == self._tree.tables.get(name):
            return
        top = f"{TABLES}{name}/"
        manifest = top + manifest_name(table.version)
        held = {p.path: p for p in self._tree.table_pointers(name)}
        wanted = {top + path for path in table.files()} - {manifest}
        changes |= {POINTERS + path: None for path in held.keys() - wanted}
        changes |= {FILES + path: None for path in self._tree.manifests(name)}
        for path in sorted(wanted - held.keys()):
            local = folder / path.removeprefix(top)
            pointer = measure(path, local)
            new.append((pointer, local))
            changes[POINTERS + path] = pointer.encode()
        changes[FILES + manifest] = (folder / manifest.removeprefix(top)).read_bytes()
        changes[f"{PINS}{name}.json"] = json.dumps({"version": table.version}).encode()

    def _collect_files(self, changes: dict[str, bytes | None], new: NewFiles) -> None:
        check_shape(self.list())
        for path, how in self._overlay.changes().items():
            local = self._overlay.local(path)
            changes[FILES + path] = changes[POINTERS + path] = None
            if how == "written":
                assert local is not None
                changes[FILES + path] = local.read_bytes()
            elif how == "put":
                assert local is not None
                pointer = measure(path, local)
                new.append((pointer, local))
                changes[POINTERS + path] = pointer.encode()

    def merge(self) -> Commit:
        return self._versions.merge_run(self)

    def discard(self) -> None:
        self._versions.discard_run(self)


def read_record(folder: Path) -> dict[str, str | None] | None:
    """Base commit and branch of the work tree in ``folder``; None when it holds none."""
    try:
        record: dict[str, str | None] = json.loads((folder / RECORD).read_bytes())
    except FileNotFoundError:
        return None
    return record


def find_records(root: Path) -> Iterator[str]:
    """Paths below ``root`` of the folders that hold a work tree."""
    for folder, below, names in os.walk(root):  # passes over what goes away meanwhile
        if RECORD in names:
            below.clear()
            yield Path(folder).relative_to(root).as_posix()


def make_record(folder: Path, *, base: str | None, branch: str) -> dict[str, str | None]:
    """Start a work tree: whatever lies in ``folder`` without a record was half made, and goes."""
    shutil.rmtree(folder, ignore_errors=True)
    record: dict[str, str | None] = {"base": base, "branch": branch}
    write_whole(folder / RECORD, json.dumps(record).encode())
    return record


def note_tip(folder: Path, commit: str) -> None:
    """Remember the run's commit, so that a later process can tell whether it was merged."""
    record = (read_record(folder) or {}) | {"tip": commit}
    write_whole(folder / RECORD, json.dumps(record).encode())


def tidy(folder: Path) -> None:
    """Clear what a kill left half made in a work tree that is taken up again."""
    clear_leftovers(folder / TABLES)


def not_new(path: str, where: str) -> InputError:
    """The error for an immutable path that holds other bytes in commit ``where``."""
    return InputError(
        f"{path!r} exists with other bytes in {where}; immutable files are named once for ever: "
        "give the new file another name, or write() it when it is small and changes"
    )
