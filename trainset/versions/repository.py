"""The git objects of a home; the only module that speaks pygit2.

Objects are never written loose: each commit's new objects go into one pack, which is made aside,
fsynced and moved in. So a crash leaves whole packs or none, and a bucket gets two objects a commit.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pygit2

from trainset.errors import InputError
from trainset.model import Commit
from trainset.versions.durable import sync_file
from trainset.versions.locks import StoreLock

_METADATA = "trainset-metadata: "

# A home on a shared disk belongs to whoever made it; libgit2 runs no hooks and no config commands,
# which is what git's owner check protects against.
pygit2.option(pygit2.enums.Option.SET_OWNER_VALIDATION, 0)


class GitBroken(InputError):
    """The git objects of a home cannot be read."""

    kind = "git-broken"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the git store of this home is damaged ({reason}); put repo.git/objects/pack back "
            "from a backup or from another copy of the home ('git fsck' in repo.git names what is "
            "wrong)"
        )


@contextmanager
def _readable() -> Iterator[None]:
    """The seam: git says of a flipped byte what zlib says of it."""
    try:
        yield
    except pygit2.GitError as err:
        raise GitBroken(str(err)) from err


class Repository:
    """A bare git repository at ``path``, made under ``lock`` when it is not there.

    Args:
        path: the folder of the repository.
        scratch: a folder on the same file system where new packs are made, under ``lock`` only.
    """

    def __init__(self, path: Path, scratch: Path, lock: StoreLock) -> None:
        self.path, self.scratch = path, scratch
        if not (path / "HEAD").exists():
            scratch.mkdir(parents=True, exist_ok=True)
            with lock:
                self._make()
        self.git = pygit2.Repository(str(path))

    def _make(self) -> None:
        if not (self.path / "HEAD").exists():
            new = self.scratch / f"init-{secrets.token_hex(6)}"
            pygit2.init_repository(new, bare=True, initial_head="main")
            shutil.rmtree(new / "hooks", ignore_errors=True)
            os.replace(new, self.path)  # whole at once: half a repository would not open

    @property
    def packs(self) -> Path:
        """The folder that holds the packs."""
        return self.path / "objects" / "pack"

    def has(self, commit: str) -> bool:
        """Whether the commit's object is here."""
        return commit in self.git

    @_readable()
    def commit(self, commit: str) -> Commit:
        """The facts of one commit, without tags."""
        found = self.git[commit]
        text = found.message
        message, _, raw = text.rpartition("\n" + _METADATA)
        metadata = json.loads(raw) if raw and _METADATA in text else {}
        return Commit(
            id=str(found.id),
            parents=tuple(str(p) for p in found.parent_ids),
            message=(message if _METADATA in text else text).strip("\n"),
            metadata=metadata,
            created_at=datetime.fromtimestamp(found.commit_time, UTC),
        )

    def find(self, prefix: str) -> str | None:
        """The commit whose id starts with ``prefix``; None when there is none.

        Raises:
            InputError: more than one object starts so.
        """
        try:
            found = self.git[prefix]
        except KeyError:
            return None
        except ValueError as err:
            if "ambiguous" in str(err):
                raise InputError(
                    f"{prefix!r} begins more than one id; give more of its digits"
                ) from err
            return None
        return str(found.id) if isinstance(found, pygit2.Commit) else None

    def line(self, tip: str | None) -> Iterator[str]:
        """First parents from ``tip`` back to the first commit."""
        while tip is not None:
            yield tip
            with _readable():
                parents = self.git[tip].parent_ids
            tip = str(parents[0]) if parents else None

    def merge_base(self, a: str, b: str) -> str | None:
        """The best common ancestor of two commits."""
        found = self.git.merge_base(a, b)
        return str(found) if found else None

    def reaches(self, tip: str, commit: str) -> bool:
        """Whether ``commit`` is ``tip`` or one of its ancestors, by any parent."""
        return tip == commit or bool(self.git.descendant_of(tip, commit))

    @_readable()
    def tree_id(self, commit: str) -> str:
        """Equal for two commits exactly when they hold the same."""
        return str(self.git[commit].tree_id)

    @_readable()
    def read(self, commit: str, path: str) -> bytes | None:
        """One blob of a commit's tree, or None."""
        try:
            found = self.git[commit].tree[path]
        except KeyError:
            return None
        data: bytes | None = found.data if isinstance(found, pygit2.Blob) else None
        return data

    @_readable()
    def entries(self, commit: str, under: str = "") -> dict[str, str]:
        """Blob ids by path, relative to folder ``under`` of the commit's tree."""
        tree = self.git[commit].tree
        if under:
            try:
                tree = tree[under]
            except KeyError:
                return {}
        return dict(_blobs(tree, ""))

    @_readable()
    def blob(self, blob: str) -> bytes:
        """The bytes behind a blob id."""
        data: bytes = self.git[blob].data
        return data

    def write_commit(
        self,
        *,
        tree_of: str | None,
        changes: Mapping[str, bytes | None],
        parents: Sequence[str],
        message: str,
        metadata: Mapping[str, str],
        at: datetime,
    ) -> str:
        """Write a commit, durably, and give its id; no ref moves. The caller holds the lock.

        Args:
            tree_of: commit whose tree the changes are made to; None: an empty tree.
            changes: tree path to new bytes, or None to take the path out.
        """
        shutil.rmtree(self.scratch, ignore_errors=True)  # what a killed process left half made
        self.scratch.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="pack-") as folder:
            aside = Path(folder)
            pygit2.init_repository(folder, bare=True)
            alternates = aside / "objects" / "info" / "alternates"
            alternates.parent.mkdir(parents=True, exist_ok=True)
            alternates.write_text(f"{(self.path / 'objects').resolve()}\n")
            git = pygit2.Repository(folder)
            index = pygit2.Index()
            if tree_of is not None:
                index.read_tree(git[tree_of].tree)
            known = {entry.path for entry in index}
            for path, data in changes.items():
                if data is None:
                    if path in known:
                        index.remove(path)
                else:
                    blob = git.create_blob(data)
                    index.add(pygit2.IndexEntry(path, blob, pygit2.enums.FileMode.BLOB))
            tree = index.write_tree(git)
            who = pygit2.Signature("trainset", "trainset", int(at.timestamp()), 0)  # in UTC
            facts = json.dumps(dict(metadata), sort_keys=True, ensure_ascii=False)
            text = f"{message.strip()}\n\n{_METADATA}{facts}\n"
            commit = git.create_commit(None, who, who, text, tree, list(parents))
            self._take_in(git, aside)
            return str(commit)

    def _take_in(self, git: Any, aside: Path) -> None:
        new = [
            pygit2.Oid(hex=entry.parent.name + entry.name)
            for entry in (aside / "objects").glob("[0-9a-f][0-9a-f]/*")
        ]
        self.packs.mkdir(parents=True, exist_ok=True)
        if new:  # else the very same commit was written before
            builder = pygit2.PackBuilder(git)
            for oid in new:
                builder.add(oid)
            made = aside / "made"
            made.mkdir()
            builder.write(str(made))
            for suffix in (".pack", ".idx"):  # git reads a pack once its index is there
                (source,) = made.glob(f"*{suffix}")
                sync_file(source)
                os.replace(source, self.packs / source.name)
        # Also for objects of a process that was killed before it came here.
        sync_file(self.packs)


def _blobs(tree: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in tree:
        if isinstance(entry, pygit2.Tree):
            yield from _blobs(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, str(entry.id)
