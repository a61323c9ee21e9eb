"""Compressed files (.gz, .bz2, .zst): known by their first bytes, and unpacked as a stream."""

from __future__ import annotations

import bz2
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from trainset.errors import InputError

_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_ENOUGH = 2**22  # bytes of an unpacked head; a small file may unpack to anything
MAGIC_BYTES = 4


def packing_of(head: bytes) -> str | None:
    """``gzip``, ``bz2``, ``zstd`` or None, by the first ``MAGIC_BYTES`` bytes of a file."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def unpacked_head(head: bytes, packing: str) -> bytes:
    """What the beginning of a compressed file says; less when it is broken, or cut off."""
    try:
        if packing == "gzip":
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, _ENOUGH)
        if packing == "bz2":
            return bz2.BZ2Decompressor().decompress(head, _ENOUGH)
    except (zlib.error, OSError, ValueError, EOFError):
        return b""
    found = b""
    try:
        with pa.CompressedInputStream(pa.BufferReader(head), packing) as stream:
            while len(found) < _ENOUGH and (piece := stream.read(2**12)):
                found += piece
    except OSError:  # it ends before the stream does
        pass
    return found


@contextmanager
def unpacked(path: Path, place: str) -> Iterator[Path]:
    """The file without its compression: itself when it has none, else a scratch file.

    Raises:
        InputError: it is broken or cut off.
    """
    with path.open("rb") as file:
        packing = packing_of(file.read(MAGIC_BYTES))
    if packing is None:
        yield path
        return
    with TemporaryDirectory(prefix="trainset-unpacked-") as folder:
        plain = Path(folder) / "plain"
        try:
            with pa.input_stream(str(path), compression=packing) as source, plain.open("wb") as out:
                shutil.copyfileobj(source, out, 2**20)
        except (pa.ArrowException, OSError, EOFError) as err:
            raise InputError(
                f"{place}: broken {packing} file ({err}); compress it again, or copy it again"
            ) from err
        yield plain
