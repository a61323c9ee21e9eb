"""``send_batch``: many files at once, one outcome each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from trainset.errors import TrainsetError, TransientError
from trainset.home import Home
from trainset.stores.base import ObjectStore
from trainset.transfer.base import Outcome, SourceFile
from trainset.transfer.ledger import Ledger
from trainset.transfer.read import MEMORY_BYTES, Probe
from trainset.transfer.send_file import FileSender, HomeRefused

# Called with the number of files and of moved bytes since the last call; from one thread.
Progress = Callable[[int, int], None]


def send_batch(
    files: Sequence[SourceFile],
    *,
    sources: Mapping[str, ObjectStore],
    home: Home,
    ledger: Ledger,
    threads: int = 16,
    progress: Progress | None = None,
    probe: Probe | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> list[Outcome]:
    """Bring files into the home, verified; safe to repeat, also after kill -9.

    Each file up to ``memory_bytes`` is read once: hashed, looked into, and sent from memory with
    its sha256, which the store checks. Larger ones are hashed first and again on their way. Equal
    contents are sent once. What the ledger knows and the home holds is neither read nor sent.

    Args:
        sources: store of each source by name.
        threads: files under way at once.
        probe: looks into the bytes; None: ``trainset.media.probe.probe_media``.
    Returns:
        One outcome a file, in the order of ``files``.
    Raises:
        AccessDenied, NotFound, InputError: the home takes no files (key, bucket).
        StoreFull: no room in the home or for the spool.
        TransientError: the home failed for ``2 * threads`` files in a row.
        MissingExtra: a kind of media needs a package that is not installed.
    """
    sender = FileSender(sources, home, ledger, probe or _media_probe(), memory_bytes)
    stop = threading.Event()

    def work(file: SourceFile) -> Outcome | None:
        if stop.is_set():
            return None
        try:
            return sender.send(file)
        except BaseException:
            stop.set()  # now, not when the main thread gets to it
            raise

    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="send")
    try:
        futures = [pool.submit(work, file) for file in files]
        _watch(futures, 2 * threads, progress)
        return [outcome for f in futures if (outcome := f.result()) is not None]
    except HomeRefused as err:
        cause = err.__cause__
        assert isinstance(cause, TrainsetError)
        raise cause from cause.__cause__
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        ledger.flush()


def _media_probe() -> Probe:
    from trainset.media.probe import probe_media  # late: image libraries come with it

    return probe_media


def _watch(
    futures: Sequence[Future[Outcome | None]], most_in_a_row: int, progress: Progress | None
) -> None:
    """Report progress; raise the first error; give up when the home fails file after file."""
    in_a_row = 0
    for future in as_completed(futures):
        outcome = future.result()
        if outcome is None:
            continue
        if progress is not None:
            progress(1, outcome.moved_bytes)
        in_a_row = in_a_row + 1 if outcome.kind == TransientError.kind else 0
        if in_a_row >= most_in_a_row:
            raise TransientError(
                f"{in_a_row} files in a row could not be sent; the last: {outcome.reason}"
            )
