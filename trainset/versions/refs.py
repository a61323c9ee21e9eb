"""``Refs``: names that move. Folder homes keep them as git keeps them, by git's own rules."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from trainset.errors import ConflictError, InputError
from trainset.stores.atomic import make_folder, sync_folder
from trainset.versions.locks import StoreLock

HEADS, TAGS, RUNS = "heads/", "tags/", "heads/run/"
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class RefMoved(ConflictError):
    """A ref is not where its mover believed it to be."""

    kind = "ref-moved"

    def __init__(self, name: str, *, expected: str | None, found: str | None) -> None:
        self.name, self.expected, self.found = name, expected, found
        super().__init__(
            f"{name} is at {found or 'nothing'}, not at {expected or 'nothing'}: another process "
            "moved it; look at it with 'trainset log' and run again"
        )


class Refs(Protocol):
    """Ref names (``heads/main``, ``heads/run/<id>``, ``tags/v1``) to commit ids."""

    def all(self) -> Mapping[str, str]:
        """Every ref as it is now."""
        ...

    def move(self, name: str, commit: str, *, expected: str | None) -> None:
        """Point ``name`` at ``commit``, durably, if it is at ``expected`` (None: does not exist).

        Raises RefMoved, and then the ref is as it was.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove a ref; no error when it is not there."""
        ...

    def forks(self) -> Iterable[tuple[str, str]]:
        """Names and commits that races left beside the ones that count; see ``forks``."""
        ...

    def withdraw(self, name: str, commit: str) -> None:
        """Take back what a lost race left of ``commit``: it is no fork any more."""
        ...


def check_name(kind: str, name: str) -> str:
    """``name`` itself when it may name a branch, tag or run; else InputError says what may."""
    parts = name.split("/")
    fine = (
        len(name) <= 200
        and all(_PART.fullmatch(p) and not p.endswith((".", ".lock")) for p in parts)
        and ".." not in name
        and not re.fullmatch(r"\d{12}", parts[-1])
    )
    if not fine:
        raise InputError(
            f"{name!r} is no valid name of a {kind}: letters, digits and . _ - (with / between "
            "parts) are allowed, a part starts with a letter or digit; choose another name"
        )
    return name


class FolderRefs:
    """Refs as files below ``<git>/refs``; only one process at a time, under ``lock``, moves them.

    Moves follow git's protocol (``<ref>.lock``, then rename), so that git tools see whole refs. A
    ``.lock`` that a killed process left is broken: while we hold ``lock`` none of us can own it.
    """

    def __init__(self, git: Path, lock: StoreLock) -> None:
        self._git, self._lock = git, lock

    def all(self) -> Mapping[str, str]:
        found = dict(self._packed())
        root = self._git / "refs"
        for folder, _, names in os.walk(root):
            for name in names:
                if not name.endswith(".lock"):
                    path = Path(folder, name)
                    with suppress(FileNotFoundError):  # deleted while we walked
                        found[path.relative_to(root).as_posix()] = path.read_text().strip()
        return found

    def move(self, name: str, commit: str, *, expected: str | None) -> None:
        with self._lock:
            found = self.all().get(name)
            if found != expected:
                raise RefMoved(name, expected=expected, found=found)
            path = self._git / "refs" / name
            make_folder(path.parent)
            lock = path.with_name(path.name + ".lock")
            lock.unlink(missing_ok=True)
            with lock.open("x") as out:
                out.write(commit + "\n")
                out.flush()
                os.fsync(out.fileno())
            os.replace(lock, path)
            sync_folder(path.parent)

    def delete(self, name: str) -> None:
        with self._lock:
            packed = dict(self._packed())
            if packed.pop(name, None) is not None:  # somebody ran `git gc` in here
                lines = "".join(f"{commit} refs/{ref}\n" for ref, commit in sorted(packed.items()))
                new = self._git / "packed-refs.lock"
                new.write_text(lines)
                os.replace(new, self._git / "packed-refs")
            path = self._git / "refs" / name
            path.unlink(missing_ok=True)
            path.with_name(path.name + ".lock").unlink(missing_ok=True)

    def forks(self) -> Iterable[tuple[str, str]]:
        return ()  # the lock lets one move at a time

    def withdraw(self, name: str, commit: str) -> None:
        return

    def _packed(self) -> dict[str, str]:
        try:
            lines = (self._git / "packed-refs").read_text().splitlines()
        except FileNotFoundError:
            return {}
        pairs = (line.split(" ", 1) for line in lines if line and line[0] not in "#^")
        return {name.removeprefix("refs/"): commit for commit, name in pairs}
