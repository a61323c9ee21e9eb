"""What a verification costs, level by level, before it begins. Pure arithmetic over counts.

It counts a run without a fault. L2 lists every version of the places, so surplus versions and what
older commits own come on top; L3 and L4 read a share of the objects, taken for average ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from trainset.model import Frozen
from trainset.transfer.cost import DAY_S, GB, LIST_PAGE
from trainset.transfer.rates import RateCard, RequestRate
from trainset.transfer.verify_report import Level, drawn

LEVELS: tuple[Level, ...] = ("L2", "L3", "L4")


class PlaceLoad(NamedTuple):
    """Distinct objects of one place; ``unhashed`` of them have no known sha256."""

    bucket: bool
    objects: int
    bytes: int
    unhashed: int


class SourceLoad(NamedTuple):
    """Files of one source that are still there."""

    bucket: bool
    files: int
    bytes: int


class LevelCost(Frozen):
    """What one level asks and moves; money in the card's currency, unrounded.

    Attributes:
        objects: that are looked at; ``read`` of them are read back, ``read_bytes`` in all.
        lists, gets: calls to the places' buckets (class C and B).
        source_files, source_bytes: read again at the sources; ``source_reads``: calls to buckets.
        seconds: at least, by calls and, where a bandwidth is known, by bytes.
    """

    level: Level
    objects: int
    read: int
    read_bytes: int
    lists: int
    gets: int
    source_files: int
    source_bytes: int
    source_reads: int
    once: Decimal
    seconds: float


def price_levels(
    places: Sequence[PlaceLoad],
    sources: Sequence[SourceLoad],
    card: RateCard,
    *,
    sample: float,
    requests_per_s: float,
    bytes_per_s: float | None = None,
) -> tuple[LevelCost, ...]:
    """The cost of L2, L3 and L4, each with what it includes of the levels below.

    Args:
        sample: share of objects (0 to 1) that L3 and L4 read.
        requests_per_s: that the store, or the spec, allows.
        bytes_per_s: of the line; None: not known.
    """
    return tuple(
        _price(level, places, sources, card, sample, requests_per_s, bytes_per_s)
        for level in LEVELS
    )


def _price(
    level: Level,
    places: Sequence[PlaceLoad],
    sources: Sequence[SourceLoad],
    card: RateCard,
    sample: float,
    requests_per_s: float,
    bytes_per_s: float | None,
) -> LevelCost:
    buckets = [place for place in places if place.bucket]
    objects = sum(place.objects for place in places)
    hashed = objects - sum(place.unhashed for place in places)
    # Versions, and unfinished uploads: a page each at least.
    lists = sum(-(-place.objects // LIST_PAGE) + 1 for place in buckets)
    read = drawn(hashed, sample) if level >= "L3" else 0
    share = Decimal(read) / objects if objects else Decimal(0)
    read_bytes = share * sum(place.bytes for place in places)
    out_bytes = share * sum(place.bytes for place in buckets)
    gets = math.ceil(share * sum(place.objects for place in buckets))
    again = share if level >= "L4" else Decimal(0)
    source_bytes = again * sum(source.bytes for source in sources)
    from_buckets = [source for source in sources if source.bucket]
    source_reads = 2 * math.ceil(again * sum(source.files for source in from_buckets))
    moved = float(out_bytes + again * sum(source.bytes for source in from_buckets))
    calls = lists + gets + source_reads
    seconds = max(calls / requests_per_s, moved / bytes_per_s if bytes_per_s else 0.0)
    days = max(1, math.ceil(seconds / DAY_S))
    stored = sum(place.bytes for place in buckets)
    beyond = max(Decimal(0), out_bytes - card.egress.free_times_stored * stored)
    return LevelCost(
        level=level,
        objects=objects,
        read=read,
        read_bytes=math.ceil(read_bytes),
        lists=lists,
        gets=gets,
        source_files=math.ceil(again * sum(source.files for source in sources)),
        source_bytes=math.ceil(source_bytes),
        source_reads=source_reads,
        once=_calls(gets, card.requests.B, days)
        + _calls(lists, card.requests.C, days)
        + beyond / GB * card.egress.per_gb
        + again * sum(s.bytes for s in from_buckets) / GB * card.source.egress_per_gb
        + Decimal(source_reads) / 10_000 * card.source.reads_per_10000,
        seconds=seconds,
    )


def _calls(count: int, rate: RequestRate, days: int) -> Decimal:
    return Decimal(max(0, count - rate.free_a_day * days)) / 10_000 * rate.per_10000
