"""The nouns that more than one stage uses. Data only: frozen, picklable, JSON-able."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

Stage = Literal["transfer", "metadata", "tables", "compute", "export"]
Modality = Literal["image", "video", "audio", "document", "other"]
GIT, LAKEFS = "git", "lakefs://"
REPOSITORY = r"[a-z0-9][a-z0-9-]{2,62}"
VERSIONS = rf"^(git|lakefs://{REPOSITORY})$"  # where versions are kept: the home, a server


class Frozen(BaseModel):
    """Base of all nouns."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Credentials(Frozen):
    """Keys of an S3-compatible store; resolved by flows (blocks) or from the environment."""

    key_id: str
    application_key: SecretStr
    endpoint: str = Field(description="https://s3.<region>.backblazeb2.com or any S3 endpoint")
    customer_key: SecretStr | None = Field(
        default=None, description="SSE-C: the 32 bytes of the user's own key, in base64"
    )


class Protection(Frozen):
    """What a destination does to keep its objects: Object Lock and encryption at rest.

    Attributes:
        lock: governance (a key with bypassGovernance may still delete) or compliance (nobody may);
            governance when only ``lock_days`` is said.
        lock_days: from the moment an object is written.
        legal_hold: no deletion until someone lifts the hold.
        encryption: b2 = SSE-B2 (the store's keys), customer = SSE-C (``Credentials.customer_key``);
            None leaves it to the bucket's default.
    """

    lock: Literal["governance", "compliance"] | None = None
    lock_days: int | None = Field(default=None, ge=1, le=36_500)
    legal_hold: bool = False
    encryption: Literal["b2", "customer"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _governance(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("lock_days") and not data.get("lock"):
            return {**data, "lock": "governance"}
        return data

    @model_validator(mode="after")
    def _whole(self) -> Protection:
        if (self.lock is None) != (self.lock_days is None):
            raise ValueError("lock and lock_days go together; say for how many days")
        return self

    @property
    def locks(self) -> bool:
        """Whether an object is written with Object Lock headers."""
        return self.lock is not None or self.legal_hold


class StoreOptions(Frozen):
    """How an S3-compatible store is used; folders heed none of it.

    Attributes:
        sender: fast = our own signed requests over pooled connections, boto3 = boto3's; auto =
            fast, and boto3 where fast does not fit (a proxy, an odd endpoint).
        requests_per_s: over all threads of this process, for one endpoint and key.
        bandwidth: ``50MB/s``, or a timetable of local times: ``08:00 10MB/s, 18:00 off``; None:
            no limit.
    """

    sender: Literal["auto", "fast", "boto3"] = "auto"
    requests_per_s: float = Field(default=450.0, gt=0)
    bandwidth: str | None = None
    protection: Protection = Protection()


class MediaFacts(Frozen):
    """What a look into the file says. ``unreadable`` holds the reason when it cannot be decoded."""

    mime: str
    modality: Modality
    width: int | None = None
    height: int | None = None
    duration: float | None = Field(default=None, description="seconds")
    pages: int | None = None
    unreadable: str | None = None


class LeftOut(Frozen):
    """One item that did not make it, with its reason; kept in _meta/left_out.json."""

    key: str
    stage: Stage
    kind: str
    reason: str

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes two reports the same item: the reason's wording may change."""
        return (self.key, self.stage, self.kind)


class TransferTotals(Frozen):
    """Counts of files, and ``bytes`` that moved over the wire. planned = sum of the other five."""

    planned: int = 0
    sent: int = 0
    skipped: int = 0
    duplicate: int = 0
    deferred: int = 0
    failed: int = 0
    bytes: int = 0

    @property
    def balances(self) -> bool:
        return self.planned == (
            self.sent + self.skipped + self.duplicate + self.deferred + self.failed
        )

    def __add__(self, other: TransferTotals) -> TransferTotals:
        names = type(self).model_fields
        return TransferTotals(**{n: getattr(self, n) + getattr(other, n) for n in names})


class MetadataTotals(Frozen):
    """Counts of label records (rows, quarantined) and of how they matched media."""

    rows: int = 0
    quarantined: int = 0
    matched: int = 0
    orphan_records: int = 0
    orphan_media: int = 0
    ambiguous: int = 0


class CellTotals(Frozen):
    """Counts of computed cells; ``cached`` were taken from the compute cache."""

    computed: int = 0
    cached: int = 0
    failed: int = 0

    def __add__(self, other: CellTotals) -> CellTotals:
        return CellTotals(
            computed=self.computed + other.computed,
            cached=self.cached + other.cached,
            failed=self.failed + other.failed,
        )


class ExportResult(Frozen):
    """One finished export; ``path`` is relative to the home, ``sha256`` is the dataset hash."""

    name: str
    format: str
    path: str
    samples: int
    sha256: str


RunStatus = Literal["completed", "unchanged", "waiting", "refused", "failed"]


class Decision(Frozen):
    """What somebody said of a run that waited for approval."""

    approved: bool
    by: str = Field(min_length=1, description="who says so")
    note: str = ""

    @property
    def said(self) -> str:
        what = "approved" if self.approved else "rejected"
        return f"{self.by} {what} it" + (f": {self.note}" if self.note else "")


class RunSummary(Frozen):
    """What ``runs/<run_id>/summary.json`` holds (a stable face: scripts read it)."""

    run_id: str
    status: RunStatus
    base: str | None = None
    commit: str | None = None
    tag: str | None = None
    transfer: TransferTotals = TransferTotals()
    metadata: MetadataTotals = MetadataTotals()
    cells: CellTotals = CellTotals()
    exports: tuple[ExportResult, ...] = ()
    left_out: tuple[LeftOut, ...] = Field(default=(), description="new since the base commit")
    known_left_out: int = Field(default=0, description="reported by earlier runs already")
    error: str | None = Field(default=None, description="why the run failed")
    waits: str | None = Field(default=None, description="commit that somebody is to approve")
    decision: Decision | None = Field(default=None, description="what somebody said of it")

    @property
    def exit_code(self) -> int:
        """0 done, 1 failed or refused, 3 done but something new was left out, 4 it waits."""
        if self.status in ("failed", "refused"):
            return 1
        if self.status == "waiting":
            return 4
        return 3 if self.left_out else 0


class Commit(Frozen):
    """One commit of a version store."""

    id: str
    parents: tuple[str, ...] = ()
    message: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
    created_at: datetime
    tags: tuple[str, ...] = ()
