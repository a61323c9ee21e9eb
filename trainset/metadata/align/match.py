"""Matching label records with media: pure, over Arrow tables.

Every record comes out, with the method that matched it, or as ``orphan`` or ``ambiguous``: what
has no medium today may have one after the next transfer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.findings import Aligned, find_odd
from trainset.metadata.align.found import Found
from trainset.metadata.align.name_columns import Ints
from trainset.metadata.align.pixels import to_pixels
from trainset.metadata.align.references import ASKED, climb_references, index_media
from trainset.metadata.align.rematch import Before, Earlier, Stream
from trainset.metadata.align.report import AlignReport, make_report
from trainset.model import LeftOut
from trainset.spec import MatchMethod
from trainset.tables.schema import ANNOTATIONS

METHODS: tuple[MatchMethod, ...] = ("key", "path", "near", "filename", "sha256")
CANDIDATES = 5  # media named of those that an ambiguous reference fits
_NONE = np.zeros(0, np.int64)


class Alignment(NamedTuple):
    """What came of it: ``annotations`` rows, what they add up to, and all that is odd."""

    rows: pa.Table
    report: AlignReport
    findings: pa.Table  # in the schema ``findings.FINDINGS``


def align_annotations(
    records: pa.Table,
    media: pa.Table,
    methods: Sequence[MatchMethod] = METHODS,
    *,
    label_uris: Mapping[Stream, str] | None = None,
    before: Before | None = None,
    read_at: Mapping[Stream, str] | None = None,
) -> Alignment:
    """Match records with media by the key ladder (see ``ladder``).

    Args:
        records: in the schema ``metadata.records.RECORDS``.
        media: at least row_id, key, source_uri, sha256, width, height, modality; with ``duration``
            transcripts are compared with it.
        methods: steps in the order they are tried.
        label_uris: (source, stream) -> label file; without it ``near`` finds nothing.
        before: the alignment of the base commit: what still stands of it is not done again, and
            the report tells what changed; the rows do not depend on it.
        read_at: (source, stream) -> when its source was read last.
    Returns:
        One row for each record in its order. Boxes given as fractions of the image are pixels
        afterwards where the medium's size is known.
    """
    media = media.combine_chunks()
    with ThreadPoolExecutor(1, "align") as aside:
        index = aside.submit(index_media, media)
        earlier = Earlier(records, before)
        row_ids = aside.submit(earlier.row_ids, records)
        at = earlier.still_matched(records, media)
        stands = at >= 0
        words = np.full(len(records), -1, np.int64)
        fits = np.full(len(records), -1, np.int64)  # query of an ambiguous record
        climbing = np.flatnonzero(~stands)
        asked = records.select(ASKED)
        if len(climbing) < len(records):
            asked = asked.take(pa.array(climbing))
        found, of_record = climb_references(asked, index, methods, label_uris or {})
        at[climbing] = found.medium[of_record]
        words[climbing] = found.method[of_record]
        several = np.zeros(len(found.medium), bool)
        several[found.several] = True
        fits[climbing] = np.where(several[of_record], of_record, -1)
        match = _words(words, fits, methods)
        if before is not None and stands.any():
            said = before.rows["match"].take(pa.array(earlier.at[stands])).combine_chunks()
            match = pc.replace_with_mask(match, pa.array(stands), said)
        rows = _rows(records, media, at, match)
        aligned = Aligned(
            rows=rows,
            media=media,
            at=at,
            candidates=_candidates(records, media, found, fits),
            was=earlier.at,
            before=None if before is None else before.rows,
        )
        # Hashing keeps one processor busy, and needs nothing of what is looked for meanwhile.
        odd = aside.submit(_look_over, aligned, read_at or {})
        row_fp = earlier.fingerprints(rows)
        findings, report = odd.result()
    rows = rows.append_column("row_id", row_ids.result()).append_column("row_fp", row_fp)
    return Alignment(rows.select(ANNOTATIONS.names).cast(ANNOTATIONS), report, findings)


def left_out(rows: pa.Table, report: AlignReport | None = None) -> list[LeftOut]:
    """Records without a medium, one item each.

    Args:
        rows: of ``annotations``.
        report: of the alignment that made them; names the candidates of what is ambiguous.
    """
    lost = rows.filter(pc.is_null(rows["media_id"]))
    columns = ["source", "stream", "record_id", "media_ref", "match"]
    items = []
    for row in lost.select(columns).to_pylist():
        if row["match"] == "ambiguous":
            fits = report.candidates.get(row["media_ref"], ()) if report else ()
            named = f" ({', '.join(fits)})" if fits else ""
            kind, why = "ambiguous", f"fits more than one medium{named}; name it by key or path"
        else:
            kind, why = "orphan-record", "fits no medium; bring the medium in, or mend the name"
        items.append(
            LeftOut(
                key=f"{row['source']}/{row['stream']}#{row['record_id']}",
                stage="metadata",
                kind=kind,
                reason=f"{row['media_ref']!r} {why}",
            )
        )
    return items


def _words(methods: Ints, fits: Ints, names: Sequence[MatchMethod]) -> pa.Array:
    """What ``match`` says: the method, ``ambiguous`` or ``orphan``."""
    words = pa.array([*names, "ambiguous", "orphan"], pa.string())
    lost = np.where(fits >= 0, len(names), len(names) + 1)
    return words.take(pa.array(np.where(methods >= 0, methods, lost)))


def _rows(records: pa.Table, media: pa.Table, at: Ints, match: pa.Array) -> pa.Table:
    """``annotations`` rows with media and pixel boxes, but for what names them."""
    take = pa.array(at, mask=at < 0)
    columns = {name: records[name] for name in records.column_names}
    columns |= {"media_id": media["row_id"].take(take), "media_key": media["key"].take(take)}
    columns["match"] = match
    width, height = (media[name].take(take) for name in ("width", "height"))
    columns["bbox"], columns["geometry"] = to_pixels(
        columns["bbox"], columns["geometry"], width, height
    )
    return pa.table(columns)


def _look_over(aligned: Aligned, read_at: Mapping[Stream, str]) -> tuple[pa.Table, AlignReport]:
    findings = find_odd(aligned)
    return findings, make_report(aligned, findings, read_at=read_at)


def _candidates(
    records: pa.Table, media: pa.Table, found: Found, fits: Ints
) -> dict[str, tuple[str, ...]]:
    """Media keys that each ambiguous reference fits, the first ``CANDIDATES`` of them."""
    rows = np.flatnonzero(fits >= 0)
    queries, first = np.unique(fits[rows], return_index=True)
    refs = records["media_ref"].take(pa.array(rows[first])).to_pylist()
    fitting = [found.candidates(query, CANDIDATES) for query in queries.tolist()]
    keys = iter(media["key"].take(pa.array(np.concatenate([_NONE, *fitting]))).to_pylist())
    return {ref: tuple(islice(keys, len(those))) for ref, those in zip(refs, fitting, strict=True)}
