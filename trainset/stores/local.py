"""``LocalStore``: a folder as an object store."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat as stat_bits
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from trainset.errors import ChecksumMismatch, NotFound
from trainset.stores.atomic import clone, replacing, sweep
from trainset.stores.base import ObjectInfo, PartLog
from trainset.stores.keys import check_key
from trainset.stores.local_errors import translated
from trainset.stores.local_walk import file_info, find_spelled, root_prefix, spelled, walk_folder
from trainset.stores.tree_walk import EVERYTHING, Watch

_BLOCK = 8 * 2**20  # bytes read at once


class LocalStore:
    """Bytes in files below ``root``; ``version`` is the file's mtime in ns.

    A file name that is not UTF-8 has a key in which its odd bytes read ``\\xNN``; the key finds the
    file again. Links are followed (a link into its own parents is not); FIFOs, sockets and devices
    are not objects. ``content_type`` is not kept.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = spelled(str(root))
        self._prefix = root_prefix(root)
        self._swept: set[Path] = set()

    def __repr__(self) -> str:
        return f"LocalStore({self.url!r})"

    def uri(self, key: str) -> str:
        return spelled(self._name(key))

    def local_path(self, key: str) -> Path:
        return Path(self._name(key))

    def storage_options(self) -> dict[str, str]:
        return {}

    def _name(self, key: str) -> str:
        return find_spelled(self._prefix + check_key(key))

    def head(self, key: str) -> ObjectInfo | None:
        path = self._name(key)
        with translated(path):
            try:
                found = os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return file_info(key, found) if stat_bits.S_ISREG(found.st_mode) else None

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        name = self._name(key)
        with translated(name):
            if not start and length is None:
                return _read_whole(name)
            with _open_file(name) as handle:
                handle.seek(start)
                return handle.read(-1 if length is None else length)

    def open(self, key: str) -> BinaryIO:
        name = self._name(key)
        with translated(name):
            return _open_file(name)

    def put(
        self, key: str, data: bytes, *, sha256: str | None = None, content_type: str | None = None
    ) -> ObjectInfo:
        if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256:
            raise ChecksumMismatch(key, expected=sha256, found=found)
        path = self.local_path(key)
        with translated(str(path)):
            self._sweep_once(path.parent)
            with replacing(path) as handle:
                handle.write(data)
            return file_info(key, os.stat(path), sha256=sha256)

    def put_file(
        self,
        key: str,
        path: Path,
        *,
        sha256: str | None = None,
        content_type: str | None = None,
        part_hashes: Sequence[str] = (),
        parts: PartLog | None = None,
    ) -> ObjectInfo:
        target = self.local_path(key)
        with translated(f"{target} (from {path})"):
            self._sweep_once(target.parent)
            with open(path, "rb") as source, replacing(target) as handle:
                _copy(source, handle, key, sha256)
            return file_info(key, os.stat(target), sha256=sha256)

    def fetch_file(
        self, key: str, path: Path, *, sha256: str | None = None, durable: bool = True
    ) -> None:
        with self.open(key) as source, translated(f"{path} (from {self.uri(key)})"):
            sweep(path.parent)
            with replacing(path, durable=durable) as handle:
                _copy(source, handle, key, sha256)

    def delete(self, key: str) -> None:
        path = self.local_path(key)
        with translated(str(path)):
            try:
                path.unlink(missing_ok=True)
            except NotADirectoryError:
                return

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        return self.walk(prefix, start_after=start_after)

    def walk(
        self, prefix: str = "", *, start_after: str = "", watch: Watch = EVERYTHING
    ) -> Iterator[ObjectInfo]:
        """As ``list``; memory grows with the largest folder, not with the number of files.

        Raises:
            NotFound: the root is not there (an unmounted disk must not look empty).
            AccessDenied: names the folder, when ``watch`` tells nobody of it.
        """
        return walk_folder(self.root, prefix, start_after, watch)

    def _sweep_once(self, folder: Path) -> None:
        if folder not in self._swept:
            self._swept.add(folder)
            sweep(folder)


def _read_whole(name: str) -> bytes:
    """As ``_open_file(name).read()``, in about half the calls of the system.

    In each of them other threads get their turn, and this one waits for its next.
    """
    handle = _without_waiting(name, os.O_RDONLY)
    try:
        size = _check_regular(name, handle)
        data = os.read(handle, size)
        if size and len(data) == size:
            return data
        blocks = [data]
        while block := os.read(handle, _BLOCK):
            blocks.append(block)
        return b"".join(blocks)
    finally:
        os.close(handle)


def _open_file(name: str) -> BinaryIO:
    """Open a regular file to read. A FIFO is not waited for. Raises NotFound, OSError."""
    handle: BinaryIO = open(name, "rb", opener=_without_waiting)  # noqa: SIM115
    try:
        _check_regular(name, handle.fileno())
    except BaseException:
        handle.close()
        raise
    return handle


def _check_regular(name: str, handle: int) -> int:
    """The size of an open file in bytes. Raises NotFound where it is none."""
    found = os.fstat(handle)
    if not stat_bits.S_ISREG(found.st_mode):
        raise NotFound(f"{name} is a folder or a device; name a file")
    return found.st_size


def _without_waiting(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK)


def _copy(source: BinaryIO, target: BinaryIO, key: str, sha256: str | None) -> None:
    """Fill ``target``, by reflink where possible. Raises ChecksumMismatch, if asked to check."""
    cloned = clone(source, target)
    if sha256 is None:
        if not cloned:
            shutil.copyfileobj(source, target, _BLOCK)
        return
    digest = hashlib.sha256()
    if cloned:
        # The clone is hashed, not the source: that one may change after the clone was taken.
        with open(target.name, "rb") as copied:
            digest = hashlib.file_digest(copied, "sha256")
    else:
        while block := source.read(_BLOCK):
            digest.update(block)
            target.write(block)
    if (found := digest.hexdigest()) != sha256:
        raise ChecksumMismatch(key, expected=sha256, found=found)
