"""``adopt_batch``: files stay where they are; the dataset pins the version that it means."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol

from trainset.errors import TransientError
from trainset.stores.base import ReadStore
from trainset.transfer.adopt_file import FileAdopter, LookProbe
from trainset.transfer.base import Outcome, SourceFile
from trainset.transfer.ledger.base import LedgerRow
from trainset.transfer.read import MEMORY_BYTES

Progress = Callable[[int, int], None]  # files and moved bytes since the last call


class Notes(Protocol):
    """What is needed of a ledger: adopting twice does no harm, so nothing is claimed."""

    def find(self, file: SourceFile) -> LedgerRow | None: ...
    def record(self, outcome: Outcome) -> None: ...
    def flush(self) -> None: ...


def adopt_batch(
    files: Sequence[SourceFile],
    *,
    sources: Mapping[str, ReadStore],
    ledger: Notes,
    hashed: Callable[[str], bool] = lambda source: True,
    anew: bool = False,
    threads: int = 16,
    progress: Progress | None = None,
    probe: LookProbe | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> list[Outcome]:
    """Take files of reference sources into the dataset without copying; safe to repeat.

    Of a file that is read, one request brings bytes, version id and ETag. Outcomes are ``skipped``
    (nothing moves) with an absolute uri and the pin as ``version_id``: the bucket's version id, or
    ``etag:…`` / ``mtime:…`` where no versions are kept (``stores.pinned``). A broken medium is
    adopted, too: its facts say why it cannot be decoded. What the ledger knows is not read again.

    Args:
        sources: store of each source by name.
        hashed: by the source's name, whether its files are read (``MediaSource.hash``). Else the
            sha256 is what the object's metadata say (``sha256``), or not known; the facts come
            from the name and the content type.
        anew: read also what the ledger knows.
        threads: files under way at once.
        probe: looks into the bytes or a seekable file; None: ``trainset.media.probe.probe_media``.
        memory_bytes: larger files are not read whole: no sha256, facts from where the decoder
            looks.
    Returns:
        One outcome a file, in the order of ``files``.
    Raises:
        TransientError: ``2 * threads`` files in a row failed for a passing reason.
        MissingExtra: a kind of media needs a package that is not installed.
    """
    adopter = FileAdopter(sources, ledger, hashed, probe or _media_probe(), memory_bytes, anew=anew)
    stop = threading.Event()

    def work(file: SourceFile) -> Outcome | None:
        if stop.is_set():
            return None
        try:
            return adopter.adopt(file)
        except BaseException:
            stop.set()
            raise

    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="adopt")
    in_a_row = 0
    try:
        futures = [pool.submit(work, file) for file in files]
        for future in as_completed(futures):
            if (outcome := future.result()) is None:
                continue
            if progress is not None:
                progress(1, 0)
            in_a_row = in_a_row + 1 if outcome.kind == TransientError.kind else 0
            if in_a_row >= 2 * threads:
                raise TransientError(
                    f"{in_a_row} files in a row could not be adopted; the last: {outcome.reason}"
                )
        return [outcome for f in futures if (outcome := f.result()) is not None]
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        ledger.flush()


def _media_probe() -> LookProbe:
    from trainset.media.probe import probe_media  # late: image libraries come with it

    return probe_media
