"""Reading the files of a commit on lakeFS again: are they what it says?

The server keeps one checksum a file: the MD5 of its bytes or, of one that came in parts, the MD5 of
its parts' MD5s; of a file in parts on an S3 block store it keeps none at all (seen on 1.84).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import BinaryIO

from trainset.errors import InputError, NotFound
from trainset.stores.s3 import S3Store
from trainset.versions.base import FileCheck
from trainset.versions.lakefs.objects import Entry
from trainset.versions.tree import TABLES

THREADS = 8
PART = 5 * 2**20  # bytes of a part as Lance sends it; no upload in parts is smaller
_AT_ONCE = 1000  # files that wait for their turn: bounds memory
_MD5 = re.compile(r"[0-9a-f]{32}")


def check_entries(gateway: S3Store, ref: str, entries: Iterator[Entry]) -> Iterator[FileCheck]:
    """Read files of a commit through the server, a few at once."""
    with ThreadPoolExecutor(THREADS, "check-files") as pool:
        while some := list(islice(entries, _AT_ONCE)):
            yield from pool.map(lambda entry: _check(gateway, f"{ref}/{entry.path}", entry), some)


def _check(gateway: S3Store, key: str, entry: Entry) -> FileCheck:
    whole, parts, size = hashlib.md5(usedforsecurity=False), bytearray(), 0
    try:
        with gateway.open(key) as stream:
            while piece := _read(stream, PART):
                whole.update(piece)
                parts += hashlib.md5(piece, usedforsecurity=False).digest()
                size += len(piece)
    except (NotFound, InputError) as err:
        return FileCheck(path=entry.path, size=0, fault=f"the server cannot read it: {err}")
    if size != entry.size:
        said = f"the block store holds {size} bytes, the commit says {entry.size}; {RESTORE}"
        return FileCheck(path=entry.path, size=size, fault=said)
    found = {whole.hexdigest(), hashlib.md5(parts, usedforsecurity=False).hexdigest()}
    if entry.checksum in found:
        return FileCheck(path=entry.path, size=size)
    # Of a large file that others sent, nobody knows in which parts.
    known = _MD5.fullmatch(entry.checksum) and (size < PART or entry.path.startswith(TABLES))
    if not known:
        return FileCheck(path=entry.path, size=size, hashed=False)
    said = (
        f"the block store holds other bytes (MD5 {whole.hexdigest()}) than the commit says "
        f"({entry.checksum}); {RESTORE}"
    )
    return FileCheck(path=entry.path, size=size, fault=said)


def _read(stream: BinaryIO, size: int) -> bytes:
    """Just ``size`` bytes, but at the end."""
    held = bytearray()
    while len(held) < size and (piece := stream.read(size - len(held))):
        held += piece
    return bytes(held)


RESTORE = (
    "put the object back in the block store from a backup, or go on from an intact version: "
    "trainset rollback"
)
