"""What an error means for one file: it waits, it needs someone, or no file can be sent."""

from __future__ import annotations

from trainset.errors import (
    ChecksumMismatch,
    InputError,
    MissingExtra,
    NotFound,
    SourceChanged,
    TransientError,
)
from trainset.retry_class import RetryClass, is_run_fatal, retry_class
from trainset.transfer.base import Outcome, SourceFile, deferred, failed
from trainset.transfer.deliver import HomeBusy
from trainset.transfer.ledger.base import LedgerRow

MOST_ATTEMPTS = 40  # tries of one version over all runs (four a run); then someone must look

REVIVE = "then: python -m flows transfer-media <spec> --retry-dead"


def outcome_of_error(file: SourceFile, err: Exception) -> Outcome:
    """The outcome of a file whose sending ended in ``err``; errors that end the batch are raised.

    Raises:
        HomeRefused, StoreFull, MissingExtra, and whatever every other file would meet too.
    """
    outcome = _outcome(file, err)
    met = err.__cause__ if isinstance(err, HomeBusy) else err
    return outcome.model_copy(update={"reply": getattr(met, "reply", None)})


def _outcome(file: SourceFile, err: Exception) -> Outcome:
    if isinstance(err, MissingExtra) or is_run_fatal(err):
        raise err
    if isinstance(err, HomeBusy):
        return deferred(file, TransientError.kind, f"{file.uri} waits: {err.__cause__}")
    if isinstance(err, SourceChanged):
        reason = f"{file.uri} changed while it was read; it is taken in the next run"
        return deferred(file, SourceChanged.kind, reason)
    if isinstance(err, NotFound):
        return deferred(file, NotFound.kind, str(err))
    if isinstance(err, TransientError):
        return deferred(file, TransientError.kind, str(err))
    if isinstance(err, ChecksumMismatch):
        reason = f"{err}; it happened twice: look at this machine's memory, disk and network card"
        return failed(file, err.kind, f"{reason}; {REVIVE}")
    if isinstance(err, InputError):
        return failed(file, err.kind, f"{err}; {REVIVE}")
    if isinstance(err, OSError) and retry_class(err) is RetryClass.TRANSIENT:
        return deferred(file, TransientError.kind, f"{file.uri}: {err.strerror or err}; run again")
    if isinstance(err, OSError):
        reason = f"{file.uri}: {err.strerror or err}; check the file and its disk; {REVIVE}"
        return failed(file, InputError.kind, reason)
    raise err


def outcome_of_letter(file: SourceFile, row: LedgerRow) -> Outcome:
    """The outcome of a file that an earlier run gave up: it is not tried."""
    return failed(file, row.kind or InputError.kind, row.reason or f"{file.uri} failed; {REVIVE}")


def is_dead(outcome: Outcome, attempts: int) -> bool:
    """Whether no run should try this version again by itself.

    Args:
        attempts: tries of the version over all runs, this one too.
    """
    if outcome.status == "failed":
        return True
    return outcome.status == "deferred" and attempts >= MOST_ATTEMPTS
