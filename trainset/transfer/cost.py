"""What a transfer costs: requests by class, money once and a month, and time. Pure arithmetic.

It counts what a run without a fault does, and every file as new content: retries come on top, and
files that turn out to be copies of others cost less. GB and TB are decimal, as bills are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from trainset.model import Frozen
from trainset.stores.parts import MULTIPART_BYTES, part_bytes
from trainset.transfer.rates import RateCard, RequestRate
from trainset.transfer.verify_report import drawn

GB, TB = 10**9, 10**12
LIST_PAGE = 1_000  # objects of one List call
DAY_S = 86_400
LEVELS = ("L0", "L1", "L2", "L3", "L4")


@dataclass
class Workload:
    """What a plan would do, summed file by file; holds no file.

    Attributes:
        single, large: files that go in one PUT, and in parts.
        parts: of all large files.
        there, there_bytes: files that the home holds already.
        bucket_files, bucket_bytes: that are read from buckets.
        bucket_listed: files that were listed in each bucket source, by its name.
        locked: bytes under Object Lock, by days.
    """

    single: int = 0
    large: int = 0
    parts: int = 0
    bytes: int = 0
    there: int = 0
    there_bytes: int = 0
    bucket_files: int = 0
    bucket_bytes: int = 0
    bucket_listed: dict[str, int] = field(default_factory=dict)
    locked: dict[int, int] = field(default_factory=dict)

    @property
    def files(self) -> int:
        return self.single + self.large

    def add_moving(self, size: int, *, from_bucket: bool, lock_days: int | None = None) -> None:
        """A file of ``size`` bytes that goes to the store."""
        if size < MULTIPART_BYTES:
            self.single += 1
        else:
            self.large += 1
            self.parts += -(-size // part_bytes(size))
        self.bytes += size
        if from_bucket:
            self.bucket_files += 1
            self.bucket_bytes += size
        if lock_days:
            self.locked[lock_days] = self.locked.get(lock_days, 0) + size

    def add_adopted(self, size: int) -> None:
        """A file of a bucket that stays where it is, and is read once."""
        self.bucket_files += 1
        self.bucket_bytes += size

    def add_there(self, size: int) -> None:
        """A file that the home holds already."""
        self.there += 1
        self.there_bytes += size

    def add_listed(self, source: str) -> None:
        """A file that the listing of a bucket showed."""
        self.bucket_listed[source] = self.bucket_listed.get(source, 0) + 1


class Requests(Frozen):
    """Calls to the home's store by class, and to the buckets that media come from."""

    A: int
    B: int
    C: int
    source_reads: int
    source_lists: int

    @property
    def home(self) -> int:
        return self.A + self.B + self.C


class Cost(Frozen):
    """Money in ``currency``, unrounded.

    Attributes:
        card, card_date, card_note: whose prices these are.
        storage_month: of what this plan adds, a month of ``RateCard.storage.month_days`` days.
        storage_month_after: of all files of the plan, those that are there already too.
        requests_once, egress_once, source_once: paid for this transfer: calls, reading back beyond
            the free allowance, and what the sources' buckets charge.
        locked: storage that Object Lock makes certain: nobody can delete sooner to save it.
        seconds: the larger of the two below.
        bandwidth_s: None: no bandwidth was given.
    """

    card: str
    card_date: str
    card_note: str
    currency: str
    requests: Requests
    storage_month: Decimal
    storage_month_after: Decimal
    requests_once: Decimal
    egress_once: Decimal
    source_once: Decimal
    locked: Decimal
    seconds: float
    bandwidth_s: float | None
    requests_s: float

    @property
    def once(self) -> Decimal:
        return self.requests_once + self.egress_once + self.source_once

    @property
    def bound(self) -> Literal["bandwidth", "requests"]:
        return "bandwidth" if self.seconds == self.bandwidth_s else "requests"


def count_requests(work: Workload, *, verify: str, sample: float) -> Requests:
    """Calls of a run without a fault.

    L1 looks once at each object that went in parts. L2 lists the home. L3 reads a share back; L4
    reads as many sources again. A source file is looked at once when it has been read.
    """
    level = LEVELS.index(verify)
    read_back = drawn(work.files, sample) if level >= 3 else 0
    source_reads = 2 * work.bucket_files
    if level >= 4:
        source_reads += drawn(work.bucket_files, sample)
    return Requests(
        A=work.single + work.parts + 2 * work.large,
        B=(work.large if level >= 1 else 0) + read_back,
        C=-(-(work.files + work.there) // LIST_PAGE) if level >= 2 else 0,
        source_reads=source_reads,
        source_lists=sum(-(-listed // LIST_PAGE) for listed in work.bucket_listed.values()),
    )


def price(
    work: Workload,
    card: RateCard,
    *,
    verify: str = "L1",
    sample: float = 1.0,
    requests_per_s: float = 450.0,
    bytes_per_s: float | None = None,
) -> Cost:
    """The cost of a workload by one card.

    Args:
        verify, sample: level and share as in ``TransferSpec``.
        requests_per_s: what the store, or the spec, allows over all threads.
        bytes_per_s: of the line; what is read back shares it. None: not known.
    """
    calls = count_requests(work, verify=verify, sample=sample)
    read_back = work.bytes * Decimal(str(sample)) if LEVELS.index(verify) >= 3 else Decimal(0)
    read_again = work.bucket_bytes * Decimal(str(sample)) if verify == "L4" else Decimal(0)
    requests_s = calls.home / requests_per_s
    bandwidth_s = float(work.bytes + read_back) / bytes_per_s if bytes_per_s else None
    seconds = max(requests_s, bandwidth_s or 0.0)
    days = max(1, math.ceil(seconds / DAY_S))
    storage, rates, source = card.storage, card.requests, card.source
    stored = work.bytes + work.there_bytes
    after, before = _month(stored, card), _month(work.there_bytes, card)
    beyond = max(Decimal(0), read_back - card.egress.free_times_stored * stored)
    return Cost(
        card=card.name,
        card_date=card.date.isoformat(),
        card_note=card.note,
        currency=card.currency,
        requests=calls,
        storage_month=after - before,
        storage_month_after=after,
        requests_once=sum(
            (_calls(getattr(calls, name), getattr(rates, name), days) for name in "ABC"),
            Decimal(0),
        ),
        egress_once=beyond / GB * card.egress.per_gb,
        source_once=(work.bucket_bytes + read_again) / GB * source.egress_per_gb
        + Decimal(calls.source_reads) / 10_000 * source.reads_per_10000
        + Decimal(calls.source_lists) / 10_000 * source.lists_per_10000,
        locked=sum(
            (
                Decimal(size) / TB * storage.per_tb_month * days_ / storage.month_days
                for days_, size in work.locked.items()
            ),
            Decimal(0),
        ),
        seconds=seconds,
        bandwidth_s=bandwidth_s,
        requests_s=requests_s,
    )


def _month(size: int, card: RateCard) -> Decimal:
    billed = max(Decimal(0), Decimal(size) - card.storage.free_gb * GB)
    return billed / TB * card.storage.per_tb_month


def _calls(count: int, rate: RequestRate, days: int) -> Decimal:
    return Decimal(max(0, count - rate.free_a_day * days)) / 10_000 * rate.per_10000
