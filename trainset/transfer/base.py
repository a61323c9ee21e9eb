"""The nouns of a transfer: a source file, what became of it, and how the counts add up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import Field

from trainset.errors import InputError, StoreReply
from trainset.model import Frozen, LeftOut, MediaFacts, TransferTotals

Status = Literal["sent", "duplicate", "skipped", "deferred", "failed"]


class SourceFile(Frozen):
    """One file as a source's listing shows it.

    ``version`` pins the bytes: mtime in ns in a folder, the ETag in a bucket. A file whose version
    or size is no longer the listed one has changed.
    """

    key: str = Field(description="<source name>/<path>")
    source: str = Field(description="name of the `media:` entry")
    path: str = Field(description="key in the source's store")
    uri: str = Field(description="absolute, for people and provenance")
    size: int = Field(description="bytes")
    version: str
    version_id: str | None = Field(default=None, description="the source store's own, if listed")
    modified: datetime


class Outcome(Frozen):
    """What became of one planned file.

    sent: its bytes moved. duplicate: it was read, and the home held these bytes already. skipped:
    the ledger knows this very version, and the home holds it; it was not read; or a rule of the
    spec takes no such file, then ``kind`` and ``reason`` say so; or it was adopted in place
    (reference mode). deferred: waits for the next run. failed: someone must look. The last two have
    ``kind`` and ``reason``, what arrived has ``sha256`` (an adopted file: when it is known),
    ``uri`` and ``facts``. ``reason`` also says how a file was adopted.
    """

    file: SourceFile
    status: Status
    sha256: str | None = None
    uri: str | None = Field(default=None, description="relative to the home; absolute outside it")
    version_id: str | None = Field(
        default=None, description="of the object in its place; an adopted file's is its pin"
    )
    etag: str | None = Field(default=None, description="of the object in its place")
    moved_bytes: int = Field(default=0, description="that this machine sent")
    route: str | None = Field(default=None, description="name of the rule that took it")
    attempts: int = Field(default=1, description="of the whole file, in this run")
    duration_ms: int = 0
    verified: str | None = Field(default=None, description="level that was reached: L0 … L4")
    at: datetime | None = Field(default=None, description="when it ended")
    facts: MediaFacts | None = None
    kind: str | None = None
    reason: str | None = None
    retention_until: datetime | None = Field(
        default=None, description="until when the object that was made is locked"
    )
    reply: StoreReply | None = Field(
        default=None, description="of the store that took the object, or of the one that refused"
    )

    @property
    def arrived(self) -> bool:
        """Whether the dataset now has the file's bytes, in its home or where they lie."""
        return self.uri is not None and self.status in ("sent", "duplicate", "skipped")


def deferred(file: SourceFile, kind: str, reason: str) -> Outcome:
    return Outcome(file=file, status="deferred", kind=kind, reason=reason)


def failed(file: SourceFile, kind: str, reason: str) -> Outcome:
    return Outcome(file=file, status="failed", kind=kind, reason=reason)


def skipped(file: SourceFile, kind: str, reason: str, *, route: str | None = None) -> Outcome:
    return Outcome(file=file, status="skipped", kind=kind, reason=reason, route=route)


class Origin(Frozen):
    """Who did something: what the events of a transfer tell of their writer.

    Attributes:
        flow_run_id, task_run_id: of the orchestrator; None: it ran without one.
        batch_id: of the batch, as ``<number> of <count>``.
        host: name of the machine.
        worker: process on it.
        code_version: of trainset.
        config_hash: of the sources, rules and protection of the spec.
    """

    flow_run_id: str | None = None
    task_run_id: str | None = None
    batch_id: str | None = None
    host: str | None = None
    worker: str | None = None
    code_version: str | None = None
    config_hash: str | None = None


def transfer_totals(outcomes: Iterable[Outcome]) -> TransferTotals:
    """Counts by status, and bytes that moved; ``planned`` is the number of outcomes."""
    counts: dict[str, int] = {}
    moved = 0
    for outcome in outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
        moved += outcome.moved_bytes
    return TransferTotals(planned=sum(counts.values()), bytes=moved, **counts)


def transfer_left_out(outcomes: Iterable[Outcome]) -> list[LeftOut]:
    """The files that should have arrived and did not, each with its reason.

    What a rule of the spec skips is not left out: its owner said so.
    """
    return [
        LeftOut(key=o.file.key, stage="transfer", kind=o.kind or "error", reason=o.reason or "")
        for o in outcomes
        if o.status in ("deferred", "failed")
    ]


class TotalsDiffer(InputError):
    """A transfer whose outcomes are not those of its plan; the run ends, nothing is committed."""

    kind = "totals-differ"

    def __init__(self, planned: int, totals: TransferTotals) -> None:
        self.planned, self.totals = planned, totals
        super().__init__(
            f"{planned} files were planned, but the outcomes are {totals.planned}: {totals.sent} "
            f"sent, {totals.skipped} skipped, {totals.duplicate} duplicate, {totals.deferred} "
            f"deferred, {totals.failed} failed; run again, and report this as a fault of trainset"
        )
