"""What alignment found out about labels and media: counts, and examples a person can look up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from trainset.metadata.align.findings import Aligned, mask
from trainset.metadata.align.name_columns import Ints
from trainset.model import Frozen
from trainset.tables.label_states import NO_LABELS, STATES, rank_kinds

EXAMPLES = 20
_AMBIGUOUS = 1000  # references whose candidates are named


class SourceFacts(Frozen):
    """The labels of one source, and how fresh they are."""

    source: str
    streams: int
    records: int
    matched: int
    orphan_records: int = 0
    ambiguous: int = 0
    read_first: str | None = Field(default=None, description="of its streams, the oldest reading")
    read_last: str | None = Field(default=None, description="and the newest; ISO 8601")


class AlignReport(Frozen):
    """records = matched + orphan_records + ambiguous."""

    records: int = 0
    matched: dict[str, int] = Field(default_factory=dict, description="records by method")
    orphan_records: int = 0
    ambiguous: int = 0
    once_matched: int = Field(
        default=0, description="of the orphan records, those with a medium at the base commit"
    )
    late_matched: int = Field(
        default=0, description="records of the base commit without a medium there, and with one now"
    )
    orphan_media: int = Field(
        default=0, description="media without a record, of the modalities that have some"
    )
    labelled_media: int = Field(default=0, description="media with at least one label")
    empty_media: int = Field(
        default=0, description="media without, looked at and found to hold nothing"
    )
    skipped_media: int = Field(default=0, description="media that people declined to label")
    unlabelled_media: int = Field(default=0, description="all other media, also with predictions")
    kinds: dict[str, int] = Field(
        default_factory=dict,
        description="records by kind; empty, skipped, prediction and record are no labels",
    )
    duplicates: int = Field(default=0, description="labels that say again what another says")
    duplicate_media: int = Field(default=0, description="media whose bytes an earlier one has")
    boxes_outside: int = Field(default=0, description="boxes that leave the image by over 1 px")
    boxes_without_area: int = 0
    beyond_media: int = Field(default=0, description="labels that end after their medium")
    classes: dict[str, int] = Field(default_factory=dict, description="labels by class name")
    new_classes: tuple[str, ...] = Field(default=(), description="not in the base commit")
    gone_classes: tuple[str, ...] = Field(default=(), description="only in the base commit")
    classes_before: dict[str, int] | None = Field(
        default=None, description="labels by class name at the base commit; None: no base"
    )
    class_drift: float | None = Field(
        default=None, description="share of labels that changed class shares, 0 to 1; None: no base"
    )
    before: dict[str, int] | None = Field(
        default=None, description="records, matched, orphan_records, ambiguous at the base commit"
    )
    sources: tuple[SourceFacts, ...] = ()
    candidates: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="media keys that an ambiguous reference fits"
    )
    examples: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def matched_records(self) -> int:
        return sum(self.matched.values())


def make_report(
    aligned: Aligned,
    findings: pa.Table,
    *,
    read_at: Mapping[tuple[str, str], str],
) -> AlignReport:
    """Count over aligned rows.

    Args:
        findings: of ``findings.find_odd``.
        read_at: (source, stream) -> when it was read.
    """
    rows, at, before = aligned.rows, aligned.at, aligned.before
    totals = _totals(rows)
    odd = _histogram(findings["finding"])
    classes = _classes(rows)
    earlier = None if before is None else _classes(before)
    states = _media_by_state(rows, at, len(aligned.media))
    once, late = _moved(aligned)
    return AlignReport(
        records=totals["records"],
        matched={m: n for m, n in _histogram(rows["match"]).items() if m not in _LOST},
        once_matched=once,
        late_matched=late,
        labelled_media=states["labelled"],
        empty_media=states["labelled_empty"],
        skipped_media=states["skipped"],
        unlabelled_media=states["unlabelled"],
        kinds=_ranked(_histogram(rows["kind"])),
        classes=_ranked(classes),
        new_classes=() if earlier is None else tuple(sorted(classes.keys() - earlier.keys())),
        gone_classes=() if earlier is None else tuple(sorted(earlier.keys() - classes.keys())),
        classes_before=None if earlier is None else _ranked(earlier),
        class_drift=None if earlier is None else _drift(earlier, classes),
        before=None if before is None else _totals(before),
        sources=_sources(rows, read_at),
        candidates=dict(list(aligned.candidates.items())[:_AMBIGUOUS]),
        examples={name: _examples(findings, name) for name in _FOUND},
        **{name: odd.get(name, 0) for name in _FOUND},
    )


_LOST = {"orphan": "orphan_records", "ambiguous": "ambiguous"}
_FOUND = (
    *("orphan_records", "ambiguous", "orphan_media", "duplicates", "duplicate_media"),
    *("boxes_outside", "boxes_without_area", "beyond_media"),
)


def _totals(rows: pa.Table) -> dict[str, int]:
    counts = _histogram(rows["match"])
    lost = {name: counts.get(word, 0) for word, name in _LOST.items()}
    return {"records": len(rows), "matched": len(rows) - sum(lost.values()), **lost}


def _media_by_state(rows: pa.Table, at: Ints, media: int) -> dict[str, int]:
    """Media by the best that any source says of them; ``label_states`` has them by source."""
    best = np.full(media, len(STATES) - 1)
    ranks = np.where(at >= 0, rank_kinds(rows["kind"]), len(STATES))
    for rank in reversed(range(len(STATES))):
        best[at[ranks == rank]] = rank
    return dict(zip(STATES, np.bincount(best, minlength=len(STATES)).tolist(), strict=True))


def _moved(aligned: Aligned) -> tuple[int, int]:
    """Orphans that had a medium at the base commit, and records that have one only now."""
    if aligned.before is None:
        return 0, 0
    known = aligned.was >= 0
    had = np.zeros(len(known), bool)
    had[known] = mask(pc.is_valid(aligned.before["media_id"]))[aligned.was[known]]
    orphan = mask(pc.equal(aligned.rows["match"], "orphan"))
    return int((orphan & had).sum()), int((known & ~had & (aligned.at >= 0)).sum())


def _classes(rows: pa.Table) -> dict[str, int]:
    """Labels by class; what a model guesses is none."""
    said = pc.invert(pc.is_in(rows["kind"], value_set=pa.array(NO_LABELS)))
    return _histogram(rows["class"].filter(said).drop_null())


def _histogram(column: pa.ChunkedArray) -> dict[str, int]:
    return {str(v["values"]): int(v["counts"]) for v in pc.value_counts(column).to_pylist()}


def _ranked(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _drift(before: Mapping[str, int], now: Mapping[str, int]) -> float | None:
    """Half the sum of differences between the shares of classes (total variation)."""
    old, new = sum(before.values()), sum(now.values())
    if not old or not new:
        return None
    names = sorted(before.keys() | now.keys())  # sums of floats depend on the order
    return sum(abs(before.get(n, 0) / old - now.get(n, 0) / new) for n in names) / 2


def _sources(rows: pa.Table, read_at: Mapping[tuple[str, str], str]) -> tuple[SourceFacts, ...]:
    """By source; a source that has been read and holds nothing is there too."""
    keys = ["source", "stream", "match"]
    found = rows.select(keys).group_by(keys).aggregate([([], "count_all")]).to_pylist()
    names = sorted({row["source"] for row in found} | {source for source, _ in read_at})
    facts = []
    for name in names:
        mine = [row for row in found if row["source"] == name]
        counts = dict.fromkeys([*_LOST, "matched"], 0)
        for row in mine:
            counts[row["match"] if row["match"] in _LOST else "matched"] += row["count_all"]
        read = sorted(time for (source, _), time in read_at.items() if source == name)
        streams = {row["stream"] for row in mine} | {s for source, s in read_at if source == name}
        facts.append(
            SourceFacts(
                source=name,
                streams=len(streams),
                records=sum(counts.values()),
                matched=counts["matched"],
                orphan_records=counts["orphan"],
                ambiguous=counts["ambiguous"],
                read_first=read[0] if read else None,
                read_last=read[-1] if read else None,
            )
        )
    return tuple(facts)


def _examples(findings: pa.Table, name: str) -> tuple[str, ...]:
    found = findings.filter(pc.equal(findings["finding"], name)).slice(0, EXAMPLES).to_pylist()
    return tuple(dict.fromkeys(_example(row) for row in found))


def _example(row: Mapping[str, str | None]) -> str:
    detail = f" ({row['detail']})" if row["detail"] else ""
    if row["record_id"] is None:
        return f"{row['media_key']}{detail}"
    return f"{row['source']}/{row['stream']}#{row['record_id']}: {row['media_ref']}{detail}"
