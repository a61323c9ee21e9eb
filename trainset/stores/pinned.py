"""Reading one version of an object, and no other: what reference mode pins its media by.

A **pin** says which bytes are meant, in one word: the bucket's version id; ``etag:<ETag>`` in a
bucket that keeps no versions; ``mtime:<ns>`` in a folder. Only the first still finds its bytes
after an overwrite; the others find out that they are gone.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from trainset.errors import InputError, NotFound, TrainsetError, VersionGone
from trainset.stores.base import ObjectInfo, ReadStore

if TYPE_CHECKING:
    from trainset.stores.s3 import S3Store

ETAG, MTIME = "etag:", "mtime:"
STREAM_BYTES = 8 * 2**20  # of one request while a whole object is read
LOOK_BYTES = 2**20  # of one request while a decoder looks here and there
_KEPT_BLOCKS = 4  # decoders go back and forth between an index and the data


class ReadEnough(InputError):
    """A decoder has asked for more of an object than a look into it may cost."""

    kind = "read-enough"


class Pinned(NamedTuple):
    """One version of an object; ``content_type`` as its writer said it."""

    pin: str
    info: ObjectInfo
    content_type: str | None = None


def pin_of(info: ObjectInfo, *, folder: bool = False) -> str:
    """The pin of what a listing or a HEAD shows. "null" names whatever is newest: no version."""
    if folder:
        return MTIME + info.version
    if info.version_id and info.version_id != "null":
        return info.version_id
    return ETAG + info.version


def head_pinned(store: ReadStore, key: str, pin: str | None = None) -> Pinned:
    """Facts of one version of an object; of the newest without ``pin``.

    Raises:
        VersionGone: the pinned version is not there any more.
        NotFound: no pin, and there is no such object.
    """
    if store.local_path(key) is not None:
        return _head_file(store, key, pin)
    from trainset.stores import s3_pinned

    return s3_pinned.head(cast("S3Store", store), key, pin)


def get_pinned(store: ReadStore, key: str, pin: str | None = None) -> tuple[bytes, Pinned]:
    """The bytes of one version of an object and its facts, in one request. Raises as a head."""
    if store.local_path(key) is None:
        from trainset.stores import s3_pinned

        return s3_pinned.get(cast("S3Store", store), key, pin)
    found = _head_file(store, key, pin)
    try:
        data = store.get(key)
    except NotFound as err:
        raise VersionGone(store.uri(key), found.pin) from err
    return data, _head_file(store, key, found.pin)  # not written to meanwhile


def open_pinned(
    store: ReadStore,
    key: str,
    pin: str | None = None,
    *,
    block: int = STREAM_BYTES,
    most_bytes: int | None = None,
) -> BinaryIO:
    """A seekable reader of one version of an object, ``block`` bytes a request; close it.

    Args:
        most_bytes: of all requests together (a folder's file has no such limit); None: no limit.
    """
    found = head_pinned(store, key, pin)
    if store.local_path(key) is not None:
        return store.open(key)
    from trainset.stores import s3_pinned

    def read(start: int, length: int) -> bytes:
        return s3_pinned.read_range(cast("S3Store", store), key, found.pin, start, length)

    return open_ranges(read, found.info.size, block=block, most_bytes=most_bytes)


def open_ranges(
    read: Callable[[int, int], bytes], size: int, *, block: int, most_bytes: int | None = None
) -> BinaryIO:
    """A seekable reader of ``size`` bytes over ranges of them; see ``RangedReader``."""
    return cast(BinaryIO, _Buffered(RangedReader(read, size, block=block, most=most_bytes)))


class RangedReader(io.RawIOBase):
    """A seekable file over ranges of an object; the last few blocks stay in memory.

    Decoders turn any error into their own; what went wrong with the store stays in ``fault``, so
    that a broken network is not taken for a broken medium.

    Args:
        read: (first byte, length) to bytes; raises trainset.errors.
        size: of the object, in bytes.
        block: bytes of one read; starts are multiples of it.
        most: bytes of all reads; what wants more gets ReadEnough. None: no limit.
    """

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        size: int,
        *,
        block: int,
        most: int | None = None,
    ) -> None:
        self._read, self._size, self._block, self._at = read, size, block, 0
        self._left = most
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self.fault: TrainsetError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"seek to {base + offset}, before the first byte")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        number, offset = divmod(self._at, self._block)
        if self._at >= self._size:
            return 0
        data = self._block_at(number)[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _block_at(self, number: int) -> bytes:
        if number not in self._blocks:
            start = number * self._block
            length = min(self._block, self._size - start)
            try:
                self._spend(length)
                data = self._read(start, length)
            except TrainsetError as err:
                self.fault = err
                raise
            self._blocks[number] = data
            if len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _spend(self, length: int) -> None:
        if self._left is None:
            return
        if length > self._left:
            raise ReadEnough("too much of the object was asked for; read it whole to look into it")
        self._left -= length


class _Buffered(io.BufferedReader):
    """A file with all that a file can do; ``fault`` as in ``RangedReader``."""

    @property
    def fault(self) -> TrainsetError | None:
        return cast(RangedReader, self.raw).fault


def _head_file(store: ReadStore, key: str, pin: str | None) -> Pinned:
    info = store.head(key)
    if info is None:
        if pin is not None:
            raise VersionGone(store.uri(key), pin)
        raise NotFound(f"{store.uri(key)}: there is no such file; check the path")
    if pin is not None and pin != MTIME + info.version:
        raise VersionGone(store.uri(key), pin)
    return Pinned(MTIME + info.version, info)
