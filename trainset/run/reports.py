"""What the stages of a run tell each other: totals and what was left out. Data only."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from trainset.model import (
    CellTotals,
    Decision,
    ExportResult,
    Frozen,
    LeftOut,
    MetadataTotals,
    RunStatus,
    Stage,
    TransferTotals,
)
from trainset.report.wording import many, size
from trainset.transfer.base import Origin
from trainset.transfer.report_facts import TransferFacts
from trainset.versions.base import MediaLinks
from trainset.versions.gate import Check


class TransferBatch(Frozen):
    """One partition of a transfer plan: a file of source files in the run's scratch folder."""

    number: int
    of: int
    files: int
    bytes: int

    @property
    def label(self) -> str:
        width = len(str(self.of))
        return f"{self.number + 1:0{width}d} of {self.of}"


class TransferWork(Frozen):
    """A transfer plan as the tasks see it; what may be a million lines lies in scratch files."""

    batches: tuple[TransferBatch, ...] = ()
    totals: TransferTotals = TransferTotals()  # of files that no batch holds
    left_out: tuple[LeftOut, ...] = ()  # folders that could not be listed
    outcomes: int = 0  # files that wait, or that a rule turned away
    missing: int = 0  # rows whose file is gone from its source
    returned: int = 0  # missing files that are back as they were
    refused: int = 0  # entries that can be no file of the dataset; among ``left_out``
    origin: Origin | None = None  # who planned

    @property
    def said(self) -> str:
        files, size_ = sum(b.files for b in self.batches), sum(b.bytes for b in self.batches)
        batches = many(len(self.batches), "batch", "batches")
        return (
            f"plan: {many(files, 'file')} ({size(size_)}) in {batches}, "
            f"{self.totals.skipped:,} there already or skipped, {self.missing:,} gone from their "
            "source"
        )


class BatchResult(Frozen):
    """What one transfer batch did; its outcomes lie in the run's scratch folder."""

    number: int
    totals: TransferTotals
    left_out: tuple[LeftOut, ...] = ()
    repinned: int = 0  # of reference mode: another version is pinned than before
    origin: Origin | None = None  # who sent
    aside: int = 0  # files that failed for a passing reason, not counted: they are tried again
    again: bool = False  # it is those that were set aside

    @property
    def said(self) -> str:
        t = self.totals
        anew = f", {self.repinned:,} pinned anew" if self.repinned else ""
        aside = f", {self.aside:,} set aside for another try" if self.aside else ""
        which = "tried again" if self.again else f"batch {self.number + 1}"
        return (
            f"{which}: {t.sent:,} sent ({size(t.bytes)}), {t.skipped:,} there "
            f"already{anew}, {t.duplicate:,} duplicate, {t.deferred:,} deferred, "
            f"{t.failed:,} failed{aside}"
        )


class SyncResult(Frozen):
    """What the sync of one metadata source did."""

    source: str
    rows: int = 0  # records of this source after the sync, changed or not
    quarantined: int = 0
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()  # what changed in tables

    @property
    def said(self) -> str:
        counts = f"{many(self.rows, 'record')}, {self.quarantined:,} quarantined"
        return "; ".join((f"{self.source}: {counts}", *self.notes))


class CellWork(Frozen):
    """One partition of a compute plan: a table fragment and how many cells are due in it."""

    fragment: int
    number: int
    of: int
    cells: int

    @property
    def label(self) -> str:
        width = len(str(self.of))
        return f"{self.number + 1:0{width}d} of {self.of}"


class CellOutcome(Frozen):
    """What one compute partition did; ``token`` makes its cells visible."""

    token: str | None = None
    totals: CellTotals = CellTotals()
    label: str = ""  # of the partition

    @property
    def said(self) -> str:
        t = self.totals
        return (
            f"partition {self.label}: {many(t.computed, 'cell')} computed, {t.cached:,} from the "
            f"cache, {t.failed:,} failed"
        )


class StageReport(Frozen):
    """What a stage adds to the run's summary. Stages that did not run leave their field None."""

    transfer: TransferTotals | None = None
    metadata: MetadataTotals | None = None
    cells: CellTotals | None = None
    media_changed: int = 0
    left_out: tuple[LeftOut, ...] = Field(
        default=(), description="items that no table row stands for: failed and waiting files"
    )
    ran: frozenset[Stage] = frozenset()
    provenance: str | None = Field(default=None, description="head of the hash chain of events")
    transfer_facts: TransferFacts | None = Field(
        default=None, description="what the per-file report adds up to; None: there is none"
    )
    alignment: dict[str, Any] = Field(default_factory=dict, description="for the report page")

    @property
    def said(self) -> str:
        lines = []
        if self.transfer is not None:
            lines.append(f"media table: {many(self.media_changed, 'row')} changed")
        if (m := self.metadata) is not None:
            lines.append(
                f"labels: {m.matched:,} of {m.rows:,} matched, {m.orphan_records:,} without a "
                f"medium, {m.ambiguous:,} ambiguous"
            )
        if (c := self.cells) is not None:
            lines.append(f"cells: {c.computed + c.cached:,} filled, {c.failed:,} failed")
        return "; ".join(lines) or "nothing to do"

    def __add__(self, other: StageReport) -> StageReport:
        return StageReport(
            transfer=other.transfer or self.transfer,
            metadata=other.metadata or self.metadata,
            cells=other.cells or self.cells,
            media_changed=self.media_changed + other.media_changed,
            left_out=self.left_out + other.left_out,
            ran=self.ran | other.ran,
            provenance=other.provenance or self.provenance,
            transfer_facts=other.transfer_facts or self.transfer_facts,
            alignment=other.alignment or self.alignment,
        )


class Published(Frozen):
    """Where a run's work went: a commit on main, nowhere (unchanged), or not past the gate.

    Attributes:
        waits: commit on the run branch that somebody is to approve before main moves.
    """

    status: RunStatus
    base: str | None = None
    commit: str | None = None
    tag: str | None = None
    report: StageReport = StageReport()
    left_out: tuple[LeftOut, ...] = Field(default=(), description="all, known ones too")
    gate: tuple[Check, ...] = ()
    reasons: tuple[str, ...] = Field(default=(), description="why the gate refused")
    replayed: int = Field(default=0, description="how often main had moved")
    links: MediaLinks | None = Field(default=None, description="media shown in the version store")
    notes: tuple[str, ...] = Field(default=(), description="what was not possible; nothing is lost")
    waits: str | None = None
    decision: Decision | None = None

    @property
    def said(self) -> str:
        if self.status == "refused":
            return f"{'' if self.decision else 'the gate refused: '}{'; '.join(self.reasons)}"
        if self.waits is not None:
            return f"commit {self.waits[:12]} waits until somebody approves it; main stays"
        tag = f", tag {self.tag}" if self.tag else ""
        moved = "main moved to" if self.status == "completed" else "nothing new; the commit is"
        links = self.links
        shown = f", {many(links.linked + links.kept, 'medium', 'media')} linked" if links else ""
        return "; ".join((f"{moved} {(self.commit or 'none')[:12]}{tag}{shown}", *self.notes))


class Exported(Frozen):
    """One export, or why it was not made."""

    name: str
    result: ExportResult | None = None
    left_out: tuple[LeftOut, ...] = ()
    known: frozenset[tuple[str, str, str]] = Field(
        default=frozenset(), description="identities of items that an earlier run told already"
    )

    @property
    def said(self) -> str:
        if self.result is None:
            return f"export {self.name}: not made; {self.left_out[0].reason}"
        return f"export {self.name}: {many(self.result.samples, 'sample')}, {self.result.path}"
