"""A file of any store as a local file: itself in a folder, else a scratch copy that is streamed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from trainset.errors import TransientError
from trainset.stores.base import ObjectInfo, ReadStore
from trainset.stores.local_errors import translated


@contextmanager
def at_hand(store: ReadStore, info: ObjectInfo) -> Iterator[Path]:
    """Where a file can be read, as often as needed.

    Raises:
        NotFound, AccessDenied: it cannot be read.
        TransientError: a file of a folder changed in the meantime; what was read is of no version.
    """
    path = store.local_path(info.key)
    if path is None:
        with TemporaryDirectory(prefix="trainset-labels-") as folder:
            copy = Path(folder) / "file"
            store.fetch_file(info.key, copy, durable=False)
            yield copy
        return
    yield path
    now = store.head(info.key)
    if now is None or (now.version, now.size) != (info.version, info.size):
        raise TransientError(f"{store.uri(info.key)} changed while it was read; run again")


def sha256_of(path: Path, place: str) -> tuple[str, int]:
    """The hex digest and the size in bytes of a local file."""
    with translated(place), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()
