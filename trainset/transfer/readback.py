"""L3 and L4: objects read back and hashed, and their sources read again. Threads, bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from trainset.errors import InputError, NotFound
from trainset.stores.base import ReadStore
from trainset.stores.held import hash_object
from trainset.transfer.verify_report import Expected, Level, ObjectFault, Source, fault

Verdict = tuple[int, Level, ObjectFault | None]


class Reading(NamedTuple):
    """One object to read, and the files whose bytes it holds."""

    store: ReadStore
    key: str
    version_id: str | None
    files: Sequence[tuple[int, Expected]]


class ReadBack(NamedTuple):
    """What reading one object showed; ``bytes`` that were read, of its sources too."""

    clean: bool
    bytes: int
    verdicts: list[Verdict]


def read_back(
    readings: Iterable[Reading], sources: Mapping[str, ReadStore] | None, *, threads: int
) -> Iterator[ReadBack]:
    """Read objects with ``threads`` threads; a few wait in memory, none of their bytes.

    Args:
        sources: L4: stores by name of the `media:` entry; None: L3.
    Raises:
        TransientError: of a store; run again.
    """
    waiting: deque[Future[ReadBack]] = deque()
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="verify") as pool:
        try:
            for reading in readings:
                waiting.append(pool.submit(_read, reading, sources))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _read(reading: Reading, sources: Mapping[str, ReadStore] | None) -> ReadBack:
    files = reading.files
    pinned = reading.version_id if any(file.pinned for _, file in files) else None
    expected = files[0][1]
    size, wrong = _compare("L3", expected, lambda: hash_object(reading.store, reading.key, pinned))
    verdicts: list[Verdict] = []
    for number, file in files:
        if wrong is not None:
            again = fault(file, "L3", wrong.kind, wrong.reason)
            verdicts.append((number, "L3", again))
        elif sources is None or file.source is None:
            verdicts.append((number, "L3", None))
        else:
            read, changed = _compare_source(file, file.source, sources.get(file.source.name))
            size += read
            verdicts.append((number, "L4", changed))
    return ReadBack(wrong is None, size, verdicts)


def _compare(
    level: Level, file: Expected, read: Callable[[], tuple[int, str]]
) -> tuple[int, ObjectFault | None]:
    try:
        size, sha256 = read()
    except NotFound as err:
        return 0, fault(file, level, "missing", str(err))
    except InputError as err:
        return 0, fault(file, level, err.kind, str(err))
    if sha256 != file.sha256:
        said = f"the store holds sha256 {sha256}, {file.sha256} was sent"
        return size, fault(file, level, "checksum-mismatch", said)
    return size, None


def _compare_source(
    file: Expected, source: Source, store: ReadStore | None
) -> tuple[int, ObjectFault | None]:
    """Read the version that was sent; where it is gone, the source has changed."""
    if store is None:
        said = f"the spec has no source {source.name!r} any more"
        return 0, fault(file, "L4", "source-missing", said)
    try:
        if source.version_id is None:
            now = store.head(source.path)
            if now is None:
                said = f"{store.uri(source.path)} is not there any more"
                return 0, fault(file, "L4", "source-missing", said)
            if (now.size, now.version) != (source.size, source.version):
                said = f"{store.uri(source.path)} was changed after it was read"
                return 0, fault(file, "L4", "source-changed", said)
        size, sha256 = hash_object(store, source.path, source.version_id)
    except NotFound as err:
        return 0, fault(file, "L4", "source-missing", str(err))
    except InputError as err:
        return 0, fault(file, "L4", err.kind, str(err))
    if sha256 != file.sha256:
        said = (
            f"{store.uri(source.path)} has sha256 {sha256} now under the same time or version, "
            f"{file.sha256} was sent"
        )
        return size, fault(file, "L4", "source-changed", said)
    return size, None
