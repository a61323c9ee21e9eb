"""What is odd about aligned labels, one row a thing: what a person looks up after the counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.name_columns import Ints, Mask
from trainset.metadata.align.repeats import repeated_labels, repeated_media

FINDINGS = pa.schema(
    [
        pa.field("finding", pa.string(), nullable=False),  # as the counts in ``AlignReport``
        pa.field("source", pa.string()),  # null where the finding is of a medium
        pa.field("stream", pa.string()),
        pa.field("record_id", pa.string()),
        pa.field("media_ref", pa.string()),
        pa.field("media_key", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
_PIXELS = 1.0  # a box may stick out: tools round
_SECONDS = 0.5  # a transcript may outlast its medium: containers round
_END = r'"end_s"\s*:\s*(?P<end>[0-9.eE+-]+)'


@dataclass(frozen=True)
class Aligned:
    """Labels and media that were matched.

    Attributes:
        rows: of ``annotations``.
        media: the table they were matched with.
        at: (N,) position in ``media`` of each row's medium, -1 without one.
        candidates: media keys by ambiguous reference.
        was: (N,) row of each in ``before``, -1: nowhere.
        before: ``annotations`` of the base commit; None: there is no base.
    """

    rows: pa.Table
    media: pa.Table
    at: Ints
    candidates: Mapping[str, tuple[str, ...]]
    was: Ints
    before: pa.Table | None = None


def find_odd(aligned: Aligned) -> pa.Table:
    """Everything odd, in the schema ``FINDINGS``; by finding, then in the order of the tables.

    ``orphan_records`` and ``ambiguous`` have no medium; ``orphan_media`` no record, though others
    of their modality have; ``duplicates`` and ``duplicate_media`` say again what an earlier row
    says; ``boxes_outside`` leave the image by over a pixel; ``boxes_without_area``;
    ``beyond_media``: a transcript that goes on when the medium has ended.
    """
    rows, media = aligned.rows, aligned.media
    outside, flat = _bad_boxes(aligned)
    repeats, same = repeated_labels(rows, aligned.at)
    copies, originals = repeated_media(media)
    late, ends = _beyond(aligned)
    ambiguous = np.flatnonzero(mask(pc.equal(rows["match"], "ambiguous")))
    fits = [", ".join(aligned.candidates.get(ref, ())) for ref in _texts(rows, ambiguous)]
    orphans = np.flatnonzero(mask(pc.equal(rows["match"], "orphan")))
    first = [f"as {name}" for name in rows["record_id"].take(pa.array(same)).to_pylist()]
    return pa.concat_tables(
        [
            _of_rows(rows, "orphan_records", orphans, _once(aligned, orphans)),
            _of_rows(rows, "ambiguous", ambiguous, fits),
            _of_media(media, "orphan_media", _unlabelled(aligned)),
            _of_rows(rows, "duplicates", repeats, first),
            _of_media(media, "duplicate_media", copies, originals),
            _of_rows(rows, "boxes_outside", np.flatnonzero(outside), _boxes(rows, outside)),
            _of_rows(rows, "boxes_without_area", np.flatnonzero(flat), _boxes(rows, flat)),
            _of_rows(rows, "beyond_media", late, ends),
        ]
    )


def mask(column: pa.ChunkedArray) -> Mask:
    """A column of truth values; null is false."""
    found: Mask = pc.fill_null(column, False).combine_chunks().to_numpy(zero_copy_only=False)
    return found.astype(bool)


def _of_rows(
    rows: pa.Table, finding: str, at: Ints, detail: Sequence[str | None] | None = None
) -> pa.Table:
    names = ["source", "stream", "record_id", "media_ref", "media_key"]
    taken = rows.select(names).take(pa.array(at, pa.int64()))
    return _table(finding, {name: taken[name] for name in names}, len(at), detail)


def _of_media(media: pa.Table, finding: str, at: Ints, detail: list[str] | None = None) -> pa.Table:
    keys = media["key"].take(pa.array(at, pa.int64()))
    return _table(finding, {"media_key": keys}, len(at), detail)


def _table(
    finding: str,
    columns: dict[str, pa.ChunkedArray],
    length: int,
    detail: Sequence[str | None] | None,
) -> pa.Table:
    columns = {**columns, "finding": pa.repeat(finding, length)}
    if detail is not None:
        columns["detail"] = pa.array(detail, pa.string())
    empty = pa.nulls(length, pa.string())
    return pa.table({name: columns.get(name, empty) for name in FINDINGS.names}).cast(FINDINGS)


def _texts(rows: pa.Table, at: Ints) -> list[str]:
    found: list[str] = rows["media_ref"].take(pa.array(at)).to_pylist()
    return found


def _once(aligned: Aligned, orphans: Ints) -> list[str | None]:
    """The media that orphans had at the base commit."""
    if aligned.before is None:
        return [None] * len(orphans)
    was = aligned.was[orphans]
    keys = aligned.before["media_key"].take(pa.array(was, mask=was < 0)).to_pylist()
    return [None if key is None else f"was matched with {key}" for key in keys]


def _unlabelled(aligned: Aligned) -> Ints:
    modality = aligned.media["modality"].combine_chunks().dictionary_encode("encode")
    codes = modality.indices.to_numpy()
    labelled = np.zeros(len(codes), bool)
    labelled[aligned.at[aligned.at >= 0]] = True
    wanted = np.zeros(len(modality.dictionary), bool)
    wanted[codes[labelled]] = True
    return np.flatnonzero(wanted[codes] & ~labelled)


def _corners(rows: pa.Table) -> tuple[Mask, npt.NDArray[np.float64]]:
    """Which rows have a box, and those boxes as (M, 4)."""
    column = rows["bbox"].combine_chunks()
    flat = column.drop_null().flatten().to_numpy(zero_copy_only=False)
    return mask(pc.is_valid(rows["bbox"])), flat.reshape(-1, 4)


def _bad_boxes(aligned: Aligned) -> tuple[Mask, Mask]:
    """Rows whose box leaves the image, and rows whose box has no area."""
    rows, media, at = aligned.rows, aligned.media, aligned.at
    has, boxes = _corners(rows)
    outside, flat = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    flat[has] = (boxes[:, 2] <= 0) | (boxes[:, 3] <= 0)
    known = has & (at >= 0)
    if known.any():
        width, height = (
            media[name].cast(pa.float64()).to_numpy(zero_copy_only=False)[at[known]]
            for name in ("width", "height")
        )
        x, y, w, h = boxes[known[has]].T
        with np.errstate(invalid="ignore"):  # NaN: the medium's size is not known
            outside[known] = (
                (x < -_PIXELS)
                | (y < -_PIXELS)
                | (x + w > width + _PIXELS)
                | (y + h > height + _PIXELS)
            )
    return outside, flat


def _boxes(rows: pa.Table, which: Mask) -> list[str]:
    picked = rows["bbox"].filter(pa.array(which)).to_pylist()
    return [f"[{', '.join(f'{v:.6g}' for v in box)}]" for box in picked]


def _beyond(aligned: Aligned) -> tuple[Ints, list[str]]:
    """Rows that end when their medium has ended, and both times."""
    rows, media = aligned.rows, aligned.media
    if "duration" not in media.column_names:
        return np.zeros(0, np.int64), []
    ends = np.full(len(rows), np.nan)
    for name in ("geometry", "attributes"):
        timed = np.flatnonzero(mask(pc.match_substring(rows[name], '"end_s"')) & (aligned.at >= 0))
        if len(timed):
            said = pc.extract_regex(rows[name].take(pa.array(timed)), _END)
            texts = pc.struct_field(said, "end").to_pylist()
            ends[timed] = [float(text) if text else np.nan for text in texts]
    lasts = media["duration"].cast(pa.float64()).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        late = np.flatnonzero(
            ends > np.where(aligned.at >= 0, lasts[aligned.at], np.nan) + _SECONDS
        )
    words = [
        f"ends at {end:.2f} s, the medium at {last:.2f} s"
        for end, last in zip(ends[late], lasts[aligned.at[late]], strict=True)
    ]
    return late, words
