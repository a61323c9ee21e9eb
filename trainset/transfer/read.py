"""Reading one source file: all of it once, hashed, and of one version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from trainset.errors import NotFound, SourceChanged, VersionGone
from trainset.model import MediaFacts
from trainset.stores.base import ReadStore
from trainset.stores.parts import hash_parts, part_bytes
from trainset.stores.pinned import ETAG, MTIME, Pinned, get_pinned
from trainset.transfer.base import SourceFile
from trainset.transfer.patience import patiently

MEMORY_BYTES = 64 * 2**20  # up to this size a file is read once and sent from memory

# (bytes, a local file, or a seekable file; name) -> facts; `trainset.media.probe.probe_media`.
Probe = Callable[[bytes | Path | BinaryIO, str], MediaFacts]


@dataclass(frozen=True)
class Content:
    """A file's bytes, in memory (``data``) or in a local file (``path``), with their sha256.

    ``part_hashes``: sha256 of each part that an upload of ``path`` will have (see
    ``stores.parts``), so that the sender need not hash again; empty for bytes in memory.
    ``pinned``: the version that was read, of a bucket.
    """

    sha256: str
    data: bytes | None
    path: Path | None
    part_hashes: tuple[str, ...] = ()
    pinned: Pinned | None = None

    def probe(self, probe: Probe, name: str) -> MediaFacts:
        if self.data is not None:
            return probe(self.data, name)
        assert self.path is not None
        return probe(self.path, name)


@contextmanager
def read_pinned(
    file: SourceFile, store: ReadStore, spool: Path, *, memory_bytes: int
) -> Iterator[Content]:
    """The content of the listed version of ``file``, for as long as the block runs.

    A large file of a folder is hashed where it lies, and may still change before it is sent: the
    store that takes it compares each part with its hash. A large file from elsewhere, which
    ``send_remote`` could not do without a local copy, is first brought to a file in ``spool``.

    Raises:
        SourceChanged: size or version is not the listed one, before or after the read.
        NotFound, AccessDenied, InputError, TransientError, StoreFull: of the source's store.
    """
    if file.size <= memory_bytes and store.url.startswith("s3://"):
        data, found = _get_listed(file, store)
        yield Content(hashlib.sha256(data).hexdigest(), data, None, pinned=found)
        return
    if file.size <= memory_bytes:
        path = store.local_path(file.path)
        data = patiently(lambda: _get_whole(file, store), local=path is not None)
        yield Content(hashlib.sha256(data).hexdigest(), data, path)
        return
    path = store.local_path(file.path)
    if path is not None:
        digest, parts = patiently(lambda: _hash_whole(file, store))
        yield Content(digest, None, path, parts)
        return
    check_unchanged(file, store)  # before hours are spent on it
    name = hashlib.sha256(f"{file.uri}\0{file.version}".encode()).hexdigest()
    spooled = spool / name  # the same name in the next run: what a killed run left is used up
    try:
        store.fetch_file(file.path, spooled, durable=False)
        check_unchanged(file, store)
        with open(spooled, "rb") as handle:
            digest, parts = hash_parts(handle, part_bytes(file.size))
        yield Content(digest, None, spooled, parts)
    finally:
        spooled.unlink(missing_ok=True)


def _get_whole(file: SourceFile, store: ReadStore) -> bytes:
    data = store.get(file.path)
    check_unchanged(file, store)
    if len(data) != file.size:
        raise SourceChanged(file.key)
    return data


def _hash_whole(file: SourceFile, store: ReadStore) -> tuple[str, tuple[str, ...]]:
    check_unchanged(file, store)  # before hours are spent on it
    with store.open(file.path) as handle:
        found = hash_parts(handle, part_bytes(file.size))
    check_unchanged(file, store)
    return found


def _get_listed(file: SourceFile, store: ReadStore) -> tuple[bytes, Pinned]:
    """The bytes of the listed version of an object, in one request."""
    try:
        data, found = get_pinned(store, file.path, listed_pin(file, store))
    except VersionGone as err:
        check_unchanged(file, store)
        raise SourceChanged(file.key) from err
    check_listed(file, found)
    return data, found


def listed_pin(file: SourceFile, store: ReadStore) -> str:
    """What the listing pins: the version id if it showed one, else the ETag."""
    if store.local_path(file.path) is not None:
        return MTIME + file.version
    return file.version_id or ETAG + file.version


def check_listed(file: SourceFile, found: Pinned) -> None:
    """Raises SourceChanged unless ``found`` has the listed size and version."""
    if (found.info.size, found.info.version) != (file.size, file.version):
        raise SourceChanged(file.key)


def check_unchanged(file: SourceFile, store: ReadStore) -> None:
    """Raises SourceChanged unless the source still shows the listed size and version."""
    now = store.head(file.path)
    if now is None:
        raise NotFound(f"{file.uri} is not there any more, or is a link to nothing; check it")
    if (now.size, now.version) != (file.size, file.version):
        raise SourceChanged(file.key)
