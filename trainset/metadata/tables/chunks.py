"""What a killed first read had read, on this machine's disk: a cache that saves reading it twice.

Nothing here is the truth. A later sync goes on from it only when it began from the same state of
main with the same words of the spec, when every byte is as it was written, and when the reader
takes its state; and it compares all rows with the keys that the source has then. Without the
folder, or on another machine, the table is read from its beginning.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainset.metadata.base import Rejected
from trainset.metadata.store import DataFile
from trainset.metadata.tables.parts import LocalPart
from trainset.model import Frozen

_RECORD = "read.json"


class Chunk(Frozen):
    """How far a read had come when its newest part was ended.

    Attributes:
        token: of all that the read depends on; another one starts over.
        names: files of the parts in their order.
        state: of the reader, to go on from.
    """

    token: str
    arrow_schema: str
    names: tuple[str, ...]
    files: tuple[DataFile, ...]
    state: dict[str, Any]
    rejected: tuple[Rejected, ...] = ()

    def parts(self, folder: Path) -> list[LocalPart]:
        found = zip(self.names, self.files, strict=True)
        return [LocalPart(folder / name, file) for name, file in found]


@contextmanager
def chunk_folder(place: Path | None) -> Iterator[tuple[Path, bool]]:
    """A folder for the parts of one read, and whether a later sync finds them there again.

    Args:
        place: of this stream on this machine; None, or held by another process: a temporary one.
            It is emptied when the block ends well.
    """
    lock = None if place is None else _lock(place)
    if place is None or lock is None:
        with tempfile.TemporaryDirectory(prefix="trainset-sync-") as scratch:
            yield Path(scratch), False
        return
    with lock:
        yield place, True
        shutil.rmtree(place, ignore_errors=True)


def save_chunk(folder: Path, parts: Sequence[LocalPart], **facts: Any) -> None:
    """Note how far a read has come; a kill leaves the note of before, or this one."""
    chunk = Chunk(
        names=tuple(part.path.name for part in parts),
        files=tuple(part.file for part in parts),
        **facts,
    )
    half = folder / f"{_RECORD}.half"
    half.write_text(chunk.model_dump_json(), encoding="utf-8")
    os.replace(half, folder / _RECORD)


def load_chunk(folder: Path, *, token: str, arrow_schema: str) -> Chunk | None:
    """What an earlier read left, if it can be gone on from; else the folder is emptied."""
    record = folder / _RECORD
    if record.exists():
        found = Chunk.model_validate_json(record.read_bytes())
        same = (found.token, found.arrow_schema) == (token, arrow_schema)
        if same and all(map(_whole, found.parts(folder))):
            return found
    for path in folder.iterdir():
        if path.name != _LOCK:
            path.unlink()
    return None


_LOCK = ".lock"


def _lock(place: Path) -> Any:
    """The folder's lock file, held; None when another process holds it."""
    place.mkdir(parents=True, exist_ok=True)
    handle = (place / _LOCK).open("wb")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def _whole(part: LocalPart) -> bool:
    if not part.path.exists() or part.path.stat().st_size != part.file.size:
        return False
    with part.path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest() == part.file.sha256
