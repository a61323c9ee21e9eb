"""Memory of a process that transfers: freed blocks go back, and cycles are looked for seldom.

glibc raises by itself the size above which a block is mapped and unmapped alone, up to 32 MiB, and
then keeps freed blocks below that for the thread that freed them: 36 threads kept up to one file
each (850 MB of 24 MB files where 64 MiB were in use). A size that someone sets stays.
Source: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.

Python looks for cycles after every 700 objects that stay, and each file's outcome is some of them:
that took 7 % of the CPU of sending small files.
"""

from __future__ import annotations

import ctypes
import gc
import os

_BYTES = 4 * 2**20
_OBJECTS = 20_000  # that may stay until the next look for cycles
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def return_freed_memory() -> bool:
    """Let blocks of 4 MiB and more go back when they are freed; whether this C library can.

    The user's own settings (MALLOC_…, GLIBC_TUNABLES) are left alone.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl, macOS: they do so by themselves
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _BYTES)) and bool(mallopt(_TRIM_THRESHOLD, _BYTES))


def collect_seldom() -> None:
    """Raise the number of objects between two collections; a user's higher one, or 0, stays."""
    young, *older = gc.get_threshold()
    if 0 < young < _OBJECTS:
        gc.set_threshold(_OBJECTS, *older)
