"""One version of a large source file on a server, read in ranges: nothing of it on disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol, cast, runtime_checkable

from trainset.errors import VersionGone
from trainset.model import MediaFacts
from trainset.stores.base import ReadStore
from trainset.stores.parts import hash_parts
from trainset.stores.pinned import (
    LOOK_BYTES,
    STREAM_BYTES,
    Pinned,
    ReadEnough,
    head_pinned,
    open_pinned,
    open_ranges,
)
from trainset.transfer.base import SourceFile
from trainset.transfer.read import Probe, check_listed, check_unchanged, listed_pin

MOST_LOOK_BYTES = 256 * 2**20  # read of a large file to find its facts
_HASHED_NAME = re.compile(r"(?:^|/)([0-9a-f]{2})/(\1[0-9a-f]{62})$")

ReadRange = Callable[[int, int], bytes]  # (start, length) -> just these bytes


@runtime_checkable
class RangeSource(Protocol):
    """A store that is no bucket, and reads ranges of one version of a file."""

    def pinned_ranges(self, key: str, *, size: int, version: str) -> ReadRange | None:
        """Reads ranges, of this version alone; None where the server cannot.

        The reader raises SourceChanged where it sees another version.
        """
        ...


class Remote(NamedTuple):
    """A source file that is read in ranges; ``found``: its pinned version, in a bucket."""

    read: ReadRange
    found: Pinned | None


def named_sha256(path: str) -> str | None:
    """The sha256 that a name of our own media layout says: ``<aa>/<sha256>``."""
    match = _HASHED_NAME.search(path)
    return match[2] if match else None


def open_remote(file: SourceFile, store: ReadStore) -> Remote | None:
    """The listed version of ``file``; None where it lies in a folder or cannot be read in ranges.

    Raises:
        SourceChanged, NotFound, AccessDenied, InputError, TransientError.
    """
    if store.local_path(file.path) is not None:
        return None
    if store.url.startswith("s3://"):
        try:
            found = head_pinned(store, file.path, listed_pin(file, store))
        except VersionGone:
            check_unchanged(file, store)
            raise
        check_listed(file, found)
        return Remote(_bucket_ranges(file, store, found.pin), found)
    if not isinstance(store, RangeSource):
        return None
    check_unchanged(file, store)
    read = store.pinned_ranges(file.path, size=file.size, version=file.version)
    return None if read is None else Remote(read, None)


def _bucket_ranges(file: SourceFile, store: ReadStore, pin: str) -> ReadRange:
    from trainset.stores.s3 import S3Store  # late: boto3 comes with it
    from trainset.stores.s3_pinned import read_range

    bucket = cast(S3Store, store)
    return lambda start, length: read_range(bucket, file.path, pin, start, length)


def trusted_sha256(file: SourceFile, remote: Remote) -> str | None:
    """The sha256 of an object that a transfer of ours made: its name and its metadata agree.

    Metadata alone may have been carried along from other bytes; a wrong sha256 would stand for
    bytes that the home does not have.
    """
    said = named_sha256(file.path)
    if remote.found is None or said is None or remote.found.info.sha256 != said:
        return None
    return said


def hash_remote(file: SourceFile, store: ReadStore, remote: Remote) -> str:
    """The sha256, reading all of it once."""
    if remote.found is not None:
        with open_pinned(store, file.path, remote.found.pin, block=STREAM_BYTES) as stream:
            return hash_parts(stream, STREAM_BYTES)[0]
    with open_ranges(remote.read, file.size, block=STREAM_BYTES) as stream:
        return hash_parts(stream, STREAM_BYTES)[0]


def look_into(file: SourceFile, remote: Remote, probe: Probe) -> MediaFacts:
    """The facts, reading where the decoder looks; what wants too much is judged by its name.

    Raises:
        TrainsetError: what went wrong with the source while the decoder read.
    """
    from trainset.media.probe import guess_media  # late

    with open_ranges(
        remote.read, file.size, block=LOOK_BYTES, most_bytes=MOST_LOOK_BYTES
    ) as stream:
        facts = probe(stream, file.path)
        fault = getattr(stream, "fault", None)  # the decoder took it for a broken medium
    if isinstance(fault, ReadEnough):
        return guess_media(file.path, remote.found.content_type if remote.found else None)
    if fault is not None:
        raise fault
    return facts
