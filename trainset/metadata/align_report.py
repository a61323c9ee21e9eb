"""What alignment found out about labels and media: counts, and examples a person can look up."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from trainset.model import Frozen

EXAMPLES = 20
_SLACK = 1.0  # pixels a box may stick out: tools round


class AlignReport(Frozen):
    """records = matched + orphan_records + ambiguous."""

    records: int = 0
    matched: dict[str, int] = Field(default_factory=dict, description="records by method")
    orphan_records: int = 0
    ambiguous: int = 0
    orphan_media: int = Field(
        default=0, description="media without a label, of the modalities that have labels"
    )
    labelled_media: int = Field(default=0, description="media with at least one record")
    empty_media: int = Field(default=0, description="media looked at and found to hold nothing")
    duplicates: int = Field(default=0, description="labels that say again what another says")
    boxes_outside: int = Field(default=0, description="boxes that leave the image by over 1 px")
    boxes_without_area: int = 0
    classes: dict[str, int] = Field(default_factory=dict, description="labels by class name")
    new_classes: tuple[str, ...] = Field(default=(), description="not in the base commit")
    candidates: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="media keys that an ambiguous reference fits"
    )
    examples: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def matched_records(self) -> int:
        return sum(self.matched.values())


def make_report(
    rows: pa.Table,
    media: pa.Table,
    at: npt.NDArray[np.int64],
    candidates: Mapping[str, tuple[str, ...]],
    known_classes: Collection[str] | None,
) -> AlignReport:
    """Count over aligned rows.

    Args:
        rows: of ``annotations``.
        media: the table they were matched with.
        at: (N,) position in ``media`` of each row's medium, -1 without one.
        candidates: media keys by ambiguous reference.
        known_classes: class names of the base commit; None: there is no base.
    """
    counts = _histogram(rows["match"])
    lost = {word: counts.pop(word, 0) for word in ("orphan", "ambiguous")}
    classes = _histogram(rows["class"].drop_null())
    labelled = np.unique(at[at >= 0])
    without = _unlabelled(media, labelled)
    empty = _mask(pc.equal(rows["kind"], "empty")) & (at >= 0)
    repeats = _duplicates(rows)
    outside, flat = _bad_boxes(rows, media, at)
    return AlignReport(
        records=len(rows),
        matched=counts,
        orphan_records=lost["orphan"],
        ambiguous=lost["ambiguous"],
        orphan_media=len(without),
        labelled_media=len(labelled),
        empty_media=len(np.unique(at[empty])),
        duplicates=int(sum(repeats.values())),
        boxes_outside=int(outside.sum()),
        boxes_without_area=int(flat.sum()),
        classes=dict(sorted(classes.items(), key=lambda item: (-item[1], item[0]))),
        new_classes=tuple(sorted(set(classes) - set(known_classes)))
        if known_classes is not None
        else (),
        candidates=dict(list(candidates.items())[:1000]),
        examples={
            "orphan_records": _name(rows, _mask(pc.equal(rows["match"], "orphan"))),
            "ambiguous": _name(rows, _mask(pc.equal(rows["match"], "ambiguous"))),
            "orphan_media": tuple(media["key"].take(pa.array(without[:EXAMPLES])).to_pylist()),
            "duplicates": tuple(list(repeats)[:EXAMPLES]),
            "boxes_outside": _name(rows, outside),
            "boxes_without_area": _name(rows, flat),
        },
    )


def _histogram(column: pa.ChunkedArray) -> dict[str, int]:
    return {str(v["values"]): int(v["counts"]) for v in pc.value_counts(column).to_pylist()}


def _mask(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    filled = pc.fill_null(column, False).combine_chunks()
    found: npt.NDArray[np.bool_] = filled.to_numpy(zero_copy_only=False).astype(bool)
    return found


def _unlabelled(media: pa.Table, labelled: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    modality = media["modality"].to_numpy(zero_copy_only=False)
    wanted = np.isin(modality.astype(str), np.unique(modality[labelled].astype(str)))
    wanted[labelled] = False
    return np.flatnonzero(wanted)


def _corners(rows: pa.Table) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Which rows have a box, and those boxes as (M, 4)."""
    column = rows["bbox"].combine_chunks()
    has = _mask(pc.is_valid(rows["bbox"]))
    flat = column.drop_null().flatten().to_numpy(zero_copy_only=False)
    return has, flat.reshape(-1, 4)


def _bad_boxes(
    rows: pa.Table, media: pa.Table, at: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Rows whose box leaves the image, and rows whose box has no area."""
    has, boxes = _corners(rows)
    outside = np.zeros(len(rows), dtype=bool)
    flat = np.zeros(len(rows), dtype=bool)
    flat[has] = (boxes[:, 2] <= 0) | (boxes[:, 3] <= 0)
    known = has & (at >= 0)
    if known.any():
        sizes = [
            media[name].cast(pa.float64()).to_numpy(zero_copy_only=False)[at[known]]
            for name in ("width", "height")
        ]
        x, y, w, h = boxes[known[has]].T
        with np.errstate(invalid="ignore"):  # NaN: the medium's size is not known
            outside[known] = (
                (x < -_SLACK)
                | (y < -_SLACK)
                | (x + w > sizes[0] + _SLACK)
                | (y + h > sizes[1] + _SLACK)
            )
    return outside, flat


def _duplicates(rows: pa.Table) -> dict[str, int]:
    """How often a label of a medium is repeated, by a text that names it."""
    labels = rows.filter(
        pc.and_(
            pc.is_valid(rows["media_id"]),
            pc.invert(pc.is_in(rows["kind"], pa.array(["record", "empty", "skipped"]))),
        )
    )
    has, boxes = _corners(labels)
    full = np.full((len(labels), 4), np.nan)
    full[has] = boxes
    names = ["media_key", "kind", "class", "text", "geometry"]
    keyed = labels.select(names)
    for i, name in enumerate("xywh"):
        # Null and not NaN, which is unlike itself.
        keyed = keyed.append_column(name, pa.array(full[:, i], mask=~has))
    counted = keyed.group_by(keyed.column_names, use_threads=False).aggregate([([], "count_all")])
    again = counted.filter(pc.greater(counted["count_all"], 1)).to_pylist()
    found: dict[str, int] = {}
    for row in again:
        what = row["class"] or row["text"] or row["kind"]
        name = f"{row['media_key']}: {row['kind']} {what!r:.60}"
        found[name] = found.get(name, 0) + row["count_all"] - 1
    return found


def _name(rows: pa.Table, mask: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    picked = rows.take(pa.array(np.flatnonzero(mask)[:EXAMPLES])).to_pylist()
    return tuple(
        f"{row['source']}/{row['stream']}#{row['record_id']}: {row['media_ref']}" for row in picked
    )
