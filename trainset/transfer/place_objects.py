"""``PlaceObjects``: which contents a place holds, as one listing showed it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from trainset.stores.base import ObjectInfo
from trainset.transfer.streams import is_stream

_ENTRY = np.dtype([("sha256", "S16"), ("size", "<i8")])  # half a sha256 tells objects apart


class PlaceObjects:
    """The content-addressed objects of a listing, in 24 bytes an object."""

    def __init__(self, listing: Iterable[ObjectInfo]) -> None:
        names = (
            (info.key.rsplit("/", 1)[-1], info.size) for info in listing if not is_stream(info.key)
        )
        self._entries = np.fromiter(
            ((bytes.fromhex(name[:32]), size) for name, size in names if len(name) == 64), _ENTRY
        )
        self._entries.sort()

    def holds(self, sha256: str, size: int) -> bool:
        """Whether an object has this content and size."""
        wanted = np.array([(bytes.fromhex(sha256)[:16], size)], _ENTRY)
        at = np.searchsorted(self._entries, wanted)[0]
        return bool(at < len(self._entries) and self._entries[at] == wanted[0])
