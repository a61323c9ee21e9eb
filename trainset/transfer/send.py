"""``send_batch``: many files at once, one outcome each."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from trainset.errors import TrainsetError, TransientError
from trainset.home import Home
from trainset.stores.base import ReadStore
from trainset.transfer.base import Outcome, SourceFile, deferred
from trainset.transfer.claims import Lanes, shared_lanes
from trainset.transfer.deliver import HomeRefused, Route
from trainset.transfer.failures import is_dead, outcome_of_error, outcome_of_letter
from trainset.transfer.ledger import new_owner
from trainset.transfer.ledger.base import LEASE_S, Claim, Ledger
from trainset.transfer.places import OpenPlace, Places, learn_contents, open_place
from trainset.transfer.read import MEMORY_BYTES, Probe
from trainset.transfer.results import Results
from trainset.transfer.route import HOME
from trainset.transfer.send_file import FileSender

CLAIM_FILES = 128  # files claimed in one transaction
PROGRESS_S = 0.25  # between two calls of a progress, at most
BUSY_WAIT_S = 60.0  # how long a batch waits for files that another process is sending

# Called with the number of files and of moved bytes since the last call; from one thread.
Progress = Callable[[int, int], None]
Clock = Callable[[], datetime]


def send_batch(
    files: Sequence[SourceFile],
    *,
    sources: Mapping[str, ReadStore],
    home: Home,
    ledger: Ledger,
    run_id: str | None = None,
    route: Route | None = None,
    open_place: OpenPlace = open_place,
    threads: int | None = None,
    progress: Progress | None = None,
    probe: Probe | None = None,
    memory_bytes: int = MEMORY_BYTES,
    busy_wait_s: float = BUSY_WAIT_S,
    replay: Literal["read", "send"] | None = None,
    clock: Clock = lambda: datetime.now(UTC),
) -> list[Outcome]:
    """Bring files into the home, verified; safe to repeat, also after kill -9.

    Each file up to ``memory_bytes`` is read once: hashed, looked into, and sent from memory with
    its sha256, which the store checks. Larger ones are hashed first, in parts, and the store checks
    each part. Equal contents are sent once. What the ledger knows and the home holds is neither
    read nor sent, and no two processes that share a ledger send the same file.

    Args:
        sources: store of each source by name.
        run_id: stands beside what the ledger notes.
        route: the spec's rules; None: every file goes to the home.
        open_place: opens other buckets and folders that rules name.
        threads: files under way at once; None: the lanes that all batches of this process share.
        probe: looks into the bytes; None: ``trainset.media.probe.probe_media``.
        busy_wait_s: how long to wait for files that another process is sending; then they are
            deferred.
        replay: read files that are known, too; send: and read back what their places hold.
    Returns:
        One outcome a file, in the order of ``files``.
    Raises:
        AccessDenied, NotFound, InputError: the home takes no files (key, bucket).
        StoreFull: no room in the home or for the spool.
        TransientError: the home failed for ``2 * threads`` files in a row.
        MissingExtra: a kind of media needs a package that is not installed.
    """
    lanes = shared_lanes() if threads is None else Lanes(threads, threads)
    places = Places(home, open_place)
    sender = FileSender(
        sources,
        places,
        ledger,
        route=route or (lambda file, facts: HOME),
        lanes=lanes,
        probe=probe or _media_probe(),
        spool=home.state / "spool",
        memory_bytes=memory_bytes,
        run_id=run_id,
        replay=replay,
    )
    batch = _Batch(sender, ledger, lanes, run_id, memory_bytes, progress, clock)
    try:
        if ledger.is_new:
            learn_contents(ledger, places.of(HOME))
        with _claimed(ledger) as owner:
            waiting = list(enumerate(files))
            give_up_at = time.monotonic() + busy_wait_s
            while waiting := batch.run(waiting, owner):
                if time.monotonic() > give_up_at:
                    batch.defer(waiting)
                    break
                time.sleep(0.2)
        return [batch.outcomes[n] for n in range(len(files))]
    except HomeRefused as err:
        cause = err.__cause__
        assert isinstance(cause, TrainsetError)
        raise cause from cause.__cause__
    finally:
        if threads is not None:
            lanes.close()


Numbered = tuple[int, SourceFile]


class _Batch:
    """The files of one call: claims them, hands them to the lanes, and gathers what became."""

    def __init__(
        self,
        sender: FileSender,
        ledger: Ledger,
        lanes: Lanes,
        run_id: str | None,
        memory_bytes: int,
        progress: Progress | None,
        clock: Clock,
    ) -> None:
        self._sender, self._ledger, self._lanes = sender, ledger, lanes
        self._run_id, self._memory_bytes = run_id, memory_bytes
        self._progress, self._clock = progress, clock
        self._stop = threading.Event()
        self._done: Results[tuple[int, Outcome | BaseException | None]] = Results()
        self._pending = 0  # files that the lanes have, and whose results were not taken
        self._failed_in_a_row = 0
        self.outcomes: dict[int, Outcome] = {}

    def run(self, files: Sequence[Numbered], owner: str) -> list[Numbered]:
        """Send what can be claimed; gives back what other processes are sending."""
        busy: list[Numbered] = []
        error: BaseException | None = None
        for start in range(0, len(files), CLAIM_FILES):
            error = self._take_until(CLAIM_FILES)
            if error is not None:
                break
            chunk = files[start : start + CLAIM_FILES]
            claims = self._ledger.claim([file for _, file in chunk], owner=owner)
            for (number, file), claim in zip(chunk, claims, strict=True):
                if claim.mine:
                    self._submit(number, file, claim, owner)
                else:
                    busy.append((number, file))
        while self._pending:  # also after an error: no worker may go on when the claims end
            error = self._take_until(0) or error
        if error is not None:
            raise error
        return busy

    def defer(self, files: Sequence[Numbered]) -> None:
        for number, file in files:
            reason = f"{file.uri} is being sent by another run; the next run looks again"
            self._note(number, deferred(file, "busy", reason))

    def _submit(self, number: int, file: SourceFile, claim: Claim, owner: str) -> None:
        def work() -> None:
            result: Outcome | BaseException | None = None
            if not self._stop.is_set():
                try:
                    result = self._send(file, claim, owner)
                except BaseException as err:
                    self._stop.set()  # now, not when the main thread gets to it
                    result = err
            sent = isinstance(result, Outcome) and result.arrived
            self._done.put((number, result), urgent=not sent)

        self._pending += 1
        self._lanes.submit(work, large=file.size > self._memory_bytes)

    def _send(self, file: SourceFile, claim: Claim, owner: str) -> Outcome:
        if claim.row is not None and claim.row.dead:
            return outcome_of_letter(file, claim.row)
        began = time.monotonic()
        try:
            outcome = self._sender.send(file, claim, owner)
        except Exception as err:
            outcome = outcome_of_error(file, err)
        took = {"duration_ms": round(1000 * (time.monotonic() - began)), "at": self._clock()}
        outcome = outcome.model_copy(update=took)
        tries = 1 + (claim.row.attempts if claim.row else 0)
        self._ledger.record(outcome, run_id=self._run_id, dead=is_dead(outcome, tries))
        if outcome.sha256 is not None and outcome.status != "skipped":
            self._ledger.let_go_content(outcome.sha256, owner)
        return outcome

    def _take_until(self, pending: int) -> BaseException | None:
        """Take results until so few are pending, or to the error that ends the batch."""
        error: BaseException | None = None
        while self._pending > pending and error is None:
            for number, result in self._done.take(self._pending - pending, within_s=PROGRESS_S):
                self._pending -= 1
                error = self._judge(number, result) or error
        return error

    def _judge(self, number: int, result: Outcome | BaseException | None) -> BaseException | None:
        """Note one result; the error that ends the batch, if this one is it."""
        if isinstance(result, BaseException):
            return result
        if result is None:
            return None
        self._note(number, result)
        again = result.kind == TransientError.kind
        self._failed_in_a_row = self._failed_in_a_row + 1 if again else 0
        if self._failed_in_a_row < 2 * self._lanes.workers or self._stop.is_set():
            return None
        self._stop.set()
        return TransientError(
            f"{self._failed_in_a_row} files in a row could not be sent; the last: {result.reason}"
        )

    def _note(self, number: int, outcome: Outcome) -> None:
        self.outcomes[number] = outcome
        if self._progress is not None:
            self._progress(1, outcome.moved_bytes)


@contextmanager
def _claimed(ledger: Ledger) -> Iterator[str]:
    """An owner of claims, renewed while the block runs and let go at its end."""
    owner, ended = new_owner(secrets.token_hex(4)), threading.Event()

    def renew() -> None:
        while not ended.wait(LEASE_S / 3):
            ledger.renew(owner)

    keeper = threading.Thread(target=renew, name="renew-claims", daemon=True)
    keeper.start()
    try:
        yield owner
    finally:
        ended.set()
        keeper.join()
        ledger.flush()
        ledger.release(owner)


def _media_probe() -> Probe:
    from trainset.media.probe import probe_media  # late: image libraries come with it

    return probe_media
