"""Matching label records with media: pure, over Arrow tables.

Every record comes out, with the method that matched it, or as ``orphan`` or ``ambiguous``: what
has no medium today may have one after the next transfer.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainset.identity import canonical_json, row_id
from trainset.metadata.align_report import AlignReport, make_report
from trainset.metadata.ladder import Match, MediaIndex
from trainset.model import LeftOut
from trainset.spec import MatchMethod
from trainset.tables.schema import ANNOTATIONS, finish_rows

METHODS: tuple[MatchMethod, ...] = ("key", "path", "near", "filename", "sha256")
_CHUNK = 50_000  # rows made at once; bounds memory, does not change the result
# A column that holds the digest, whatever table it came from: sha256, image_sha256, file.sha256 …
_DIGEST = r'"[A-Za-z0-9_.-]*sha256"\s*:\s*"(?P<digest>[0-9a-fA-F]{64})"'


def align_annotations(
    records: pa.Table,
    media: pa.Table,
    methods: Sequence[MatchMethod] = METHODS,
    *,
    label_uris: Mapping[tuple[str, str], str] | None = None,
    known_classes: Collection[str] | None = None,
) -> tuple[pa.Table, AlignReport]:
    """Match records with media by the key ladder (see ``ladder``).

    Args:
        records: in the schema ``metadata.records.RECORDS``.
        media: at least row_id, key, source_uri, sha256, width, height, modality.
        methods: steps in the order they are tried.
        label_uris: (source, stream) -> label file; without it ``near`` finds nothing.
        known_classes: class names of the base commit, to tell new ones; None: no base.
    Returns:
        ``annotations`` rows, one for each record in its order, and the report. Boxes given as
        fractions of the image are pixels afterwards where the medium's size is known.
    """
    media = media.combine_chunks()
    matches, first, of_record = _resolve(records, media, methods, label_uris or {})
    medium = np.array([m.candidates[0] if m.method else -1 for m in matches], dtype=np.int64)
    words = [m.method or ("ambiguous" if m.candidates else "orphan") for m in matches]
    at = medium[of_record]
    take = pa.array(at, mask=at < 0)
    rows = records
    for name, column in (
        ("media_id", media["row_id"].take(take)),
        ("media_key", media["key"].take(take)),
        ("match", pa.array(words, pa.string()).take(pa.array(of_record))),
    ):
        rows = rows.append_column(pa.field(name, pa.string()), column)
    sizes = {n: media[n].take(take) for n in ("width", "height")}
    rows = _finish(rows, sizes)
    candidates = {
        str(records["media_ref"][int(first[i])]): tuple(
            str(media["key"][c]) for c in match.candidates[:5]
        )
        for i, match in enumerate(matches)
        if len(match.candidates) > 1
    }
    report = make_report(rows, media, at, candidates, known_classes)
    return rows, report


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


def _resolve(
    records: pa.Table,
    media: pa.Table,
    methods: Sequence[MatchMethod],
    label_uris: Mapping[tuple[str, str], str],
) -> tuple[list[Match], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """One match for each different (stream, reference, digest), its first record, and whose it is.

    A medium with twenty boxes is looked up once.
    """
    index = MediaIndex(
        media["key"].to_pylist(), media["source_uri"].to_pylist(), media["sha256"].to_pylist()
    )
    columns = [
        _codes(records["source"]),
        _codes(records["stream"]),
        _codes(records["media_ref"]),
        _codes(_digests(records)) if "sha256" in methods else _codes(None, len(records)),
    ]
    combined = np.zeros(len(records), dtype=np.int64)
    for codes, values in columns:
        # Codes are made dense again after each column: products of sizes would overflow.
        combined = combined * len(values) + codes
        combined = np.unique(combined, return_inverse=True)[1].astype(np.int64)
    _, first, of_record = np.unique(combined, return_index=True, return_inverse=True)
    matches = []
    for row in first:
        source, stream, ref, digest = (values[codes[row]] for codes, values in columns)
        matches.append(
            index.resolve(
                str(ref or ""),
                methods,
                label_uri=label_uris.get((str(source), str(stream))),
                sha256=digest,
            )
        )
    return matches, first, of_record.astype(np.int64)


def _codes(
    column: pa.ChunkedArray | None, length: int = 0
) -> tuple[npt.NDArray[np.int64], list[str | None]]:
    """A column as numbers and the values they stand for."""
    if column is None:
        return np.zeros(length, dtype=np.int64), [None]
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, encoded.dictionary.to_pylist() or [None]


def _digests(records: pa.Table) -> pa.ChunkedArray:
    found = pc.extract_regex(records["attributes"], _DIGEST)
    return pc.struct_field(found, "digest")


def _finish(rows: pa.Table, sizes: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """Complete ``annotations`` rows: pixel boxes, row ids and fingerprints."""
    done = [ANNOTATIONS.empty_table()]
    for start in range(0, len(rows), _CHUNK):
        chunk = rows.slice(start, _CHUNK).to_pylist()
        width, height = (sizes[n].slice(start, _CHUNK).to_pylist() for n in ("width", "height"))
        for i, row in enumerate(chunk):
            row["row_id"] = row_id(f"{row['source']}/{row['stream']}/{row['record_id']}")
            if row["geometry"] and '_fraction"' in row["geometry"]:
                _to_pixels(row, width[i], height[i])
        done.append(finish_rows("annotations", chunk))
    return pa.concat_tables(done).select(ANNOTATIONS.names)


def _to_pixels(row: dict[str, object], width: int | None, height: int | None) -> None:
    """Make pixels of what ``geometry`` holds as fractions; nothing where the size is not known."""
    if not (width and height):
        return
    geometry = json.loads(str(row["geometry"]))
    scale = (width, height)
    if (box := geometry.pop("bbox_fraction", None)) is not None:
        row["bbox"] = [v * scale[i % 2] for i, v in enumerate(box)]
    if (rings := geometry.pop("polygons_fraction", None)) is not None:
        geometry["polygons"] = [[v * scale[i % 2] for i, v in enumerate(r)] for r in rings]
    if (points := geometry.pop("keypoints_fraction", None)) is not None:
        # x, y, visibility
        geometry["keypoints"] = [
            v if i % 3 == 2 else v * scale[i % 3] for i, v in enumerate(points)
        ]
    row["geometry"] = canonical_json(geometry).decode() if geometry else None
