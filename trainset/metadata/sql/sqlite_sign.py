"""The sign of a SQLite file: equal signs prove that nothing was written between them.

Without a write-ahead log, every transaction raises the change counter in the file's header. With
one, it does not: there the log's index (counter, salts, checksum of all frames) tells transactions
apart, and after a checkpoint only the file's time does. A time is coarse, so a file that was
written within the last two seconds has no sign.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

_RACY_NS = 2 * 10**9
_HEADER, _LOG_HEADER, _INDEX_HEADER = 100, 32, 48  # bytes; SQLite's file format
_WAL = 2  # read and write version of the header


def file_sign(path: Path) -> str | None:
    """Take it before the snapshot begins. None: the file may change without the sign changing."""
    header = _head(path, _HEADER)
    parts, times = [header], []
    log = path.with_name(path.name + "-wal")
    for file in (path, log):
        if file.exists() and (stat := file.stat()).st_size:
            parts.append(f"{stat.st_size}/{stat.st_mtime_ns}".encode())
            times.append(stat.st_mtime_ns)
            if file == log:
                parts.append(_head(log, _LOG_HEADER))
                parts.append(_head(path.with_name(path.name + "-shm"), _INDEX_HEADER))
    logged = len(header) > 19 and _WAL in header[18:20]
    if logged and max(times) > time.time_ns() - _RACY_NS:
        return None
    return hashlib.sha256(b"|".join(parts)).hexdigest()[:32]


def _head(path: Path, size: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(size)
