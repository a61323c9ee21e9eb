"""What a run wrote outside its tables, kept in its work tree until it commits."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from trainset.stores.atomic import TEMP_PREFIX, make_folder, replacing
from trainset.versions.base import FileChange
from trainset.versions.durable import write_whole


class Overlay:
    """Files a run wrote, put or removed; each change is one rename, so a kill leaves old or new."""

    def __init__(self, folder: Path) -> None:
        self._written, self._put = folder / "written", folder / "put"
        self._removed = folder / "removed"

    def changes(self) -> Mapping[str, FileChange]:
        """Changed paths, ascending."""
        found: dict[str, FileChange] = {}
        for marker in self._removed.glob("*"):
            if not marker.name.startswith(TEMP_PREFIX):
                found[marker.read_text(encoding="utf-8")] = "removed"
        found |= dict.fromkeys(_paths(self._put), "put")
        found |= dict.fromkeys(_paths(self._written), "written")
        return dict(sorted(found.items()))

    def local(self, path: str) -> Path | None:
        """Where the run's own bytes of ``path`` lie, or None when it has none."""
        for folder in (self._written, self._put):
            if (folder / path).is_file():
                return folder / path
        return None

    def is_removed(self, path: str) -> bool:
        return self._marker(path).exists()

    def write(self, path: str, data: bytes) -> None:
        write_whole(self._written / path, data)
        (self._put / path).unlink(missing_ok=True)
        self._marker(path).unlink(missing_ok=True)

    def put(self, path: str, local: Path) -> None:
        """Copy a local file in: its owner may change it afterwards."""
        with local.open("rb") as source, replacing(self._put / path) as target:
            shutil.copyfileobj(source, target, 2**20)
        (self._written / path).unlink(missing_ok=True)
        self._marker(path).unlink(missing_ok=True)

    def remove(self, path: str, *, in_base: bool) -> None:
        """Take ``path`` out; only a path that the base has needs a mark."""
        if in_base:
            make_folder(self._removed)
            write_whole(self._marker(path), path.encode())
        for folder in (self._written, self._put):
            if folder.exists():
                (folder / path).unlink(missing_ok=True)

    def _marker(self, path: str) -> Path:
        return self._removed / hashlib.sha256(path.encode()).hexdigest()


def _paths(folder: Path) -> list[str]:
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(TEMP_PREFIX)
    ]
