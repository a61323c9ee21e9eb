"""How a commit's git tree is laid out, and reading one.

``files/<path>``        bytes of small files that change (JSON, YAML, Lance manifests)
``pointers/<path>``     ``{path, sha256, size}`` of immutable files that the home has at ``path``
``tables/<name>.json``  ``{"version": n}``: the Lance version that the commit pins
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from trainset.errors import InputError, NotFound
from trainset.versions.pool import Pointer
from trainset.versions.repository import Repository

FILES, POINTERS, PINS = "files/", "pointers/", "tables/"
TABLES = "tables/"  # in the home and in a work tree
_RESERVED = {"tables", "media", "repo.git", ".state", ".trainset", "trainset.json"}


def manifest_name(version: int) -> str:
    """The name of a Lance manifest in its table's folder (scheme V2: the newest sorts first)."""
    return f"_versions/{2**64 - 1 - version:020d}.manifest"


def check_path(path: str) -> str:
    """``path`` itself when a run may write there; else InputError says why not."""
    parts = path.split("/")
    why = None
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        why = "a part of it is empty, '.', '..' or '.git'"
    elif "\\" in path or "\0" in path:
        why = "it holds a backslash or NUL"
    elif parts[0] in _RESERVED:
        why = f"{parts[0]} is kept for trainset itself"
    if why:
        raise InputError(f"{path!r} cannot be a file of a commit: {why}; choose another path")
    return path


def check_shape(paths: Iterable[str]) -> None:
    """Raises InputError when a path is a file and a folder at once."""
    known = set(paths)
    for path in known:
        parts = path.split("/")
        for end in range(1, len(parts)):
            if (parent := "/".join(parts[:end])) in known:
                raise InputError(
                    f"{parent!r} is a file and cannot also be the folder of {path!r}; "
                    "choose another name for one of them"
                )


class CommitTree:
    """Reads what one commit holds. ``commit`` None is the empty commit before the first."""

    def __init__(self, repository: Repository, commit: str | None) -> None:
        self._git, self.commit = repository, commit

    @cached_property
    def tables(self) -> dict[str, int]:
        """Pinned version by table name, in order of names."""
        if self.commit is None:
            return {}
        found = self._git.entries(self.commit, PINS.rstrip("/"))
        pins = ((name, json.loads(self._git.blob(blob))) for name, blob in found.items())
        return {name.removesuffix(".json"): int(pin["version"]) for name, pin in sorted(pins)}

    @cached_property
    def _files(self) -> dict[str, str]:
        return {} if self.commit is None else self._git.entries(self.commit, FILES.rstrip("/"))

    @cached_property
    def _pointers(self) -> dict[str, str]:
        return {} if self.commit is None else self._git.entries(self.commit, POINTERS.rstrip("/"))

    def small_files(self) -> dict[str, str]:
        """Blob id by path of the small files outside ``tables/``."""
        return {p: b for p, b in self._files.items() if not p.startswith(TABLES)}

    def large_files(self) -> dict[str, str]:
        """Blob id of the pointer by path, of immutable files outside ``tables/``."""
        return {p: b for p, b in self._pointers.items() if not p.startswith(TABLES)}

    def list(self, prefix: str = "") -> Sequence[str]:
        """Paths of all files outside ``tables/``, ascending."""
        paths = self.small_files().keys() | self.large_files().keys()
        return sorted(p for p in paths if p.startswith(prefix))

    def read(self, path: str) -> bytes | None:
        """A small file's bytes, or None."""
        if self.commit is None:
            return None
        return self._git.read(self.commit, FILES + path)

    def pointer(self, path: str) -> Pointer | None:
        """The pointer of an immutable file, or None."""
        raw = None if self.commit is None else self._git.read(self.commit, POINTERS + path)
        return None if raw is None else Pointer.model_validate_json(raw)

    def table_pointers(self, name: str) -> Sequence[Pointer]:
        """Data, deletion and index files of a table."""
        folder = f"{TABLES}{name}/"
        blobs = (blob for path, blob in self._pointers.items() if path.startswith(folder))
        return [Pointer.model_validate_json(self._git.blob(blob)) for blob in blobs]

    def all_pointers(self) -> Sequence[Pointer]:
        """Every immutable file of the commit, those of tables too, by path."""
        return [Pointer.model_validate_json(self._git.blob(b)) for b in self._pointers.values()]

    def all_small(self) -> Iterator[tuple[str, int]]:
        """Path and size of every small file of the commit, manifests of tables too, read whole.

        Raises:
            GitBroken: git cannot read one of them.
        """
        for path, blob in self._files.items():
            yield path, len(self._git.blob(blob))

    def manifests(self, name: str | None = None) -> dict[str, bytes]:
        """Manifests by path in the home, of one table or of all."""
        folder = TABLES if name is None else f"{TABLES}{name}/"
        return {p: self._git.blob(b) for p, b in self._files.items() if p.startswith(folder)}


def missing_file(path: str, where: str, known: Iterable[str]) -> NotFound:
    """The error for a path that a commit does not hold; names what lies beside it."""
    folder = path.rpartition("/")[0]
    beside = [p for p in known if p.startswith(folder)][:5]
    hint = f"; beside it: {', '.join(beside)}" if beside else ""
    return NotFound(f"{where} has no file {path!r}{hint}; check the path or name another ref")


def missing_table(name: str, where: str, known: Iterable[str]) -> NotFound:
    """The error for a table that a commit does not hold; names those it holds."""
    tables = ", ".join(known) or "no table at all"
    return NotFound(f"{where} has no table {name!r}; it has {tables}; name one of these")
