"""A file of an export that is hashed while it is written."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from trainset.export.base import ExportFile


class HashedFile:
    """A new file for writing; sha256 and size come with the one write."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("xb")
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._size += len(data)
        return self._file.write(data)

    # pyarrow writes to any object with these three
    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Close durably; again is no error."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def finish(self, root: Path, *, samples: int = 0, split: str | None = None) -> ExportFile:
        """Close the file; its entry for the manifest, with a path relative to ``root``."""
        self.close()
        return ExportFile(
            path=self.path.relative_to(root).as_posix(),
            size=self._size,
            sha256=self._digest.hexdigest(),
            samples=samples,
            split=split,
        )


def hash_file(path: Path) -> str:
    """sha256 of a file, as hex, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_hashed(root: Path, path: str, data: bytes) -> ExportFile:
    """Write one small file below ``root``."""
    file = HashedFile(root / path)
    file.write(data)
    return file.finish(root)
