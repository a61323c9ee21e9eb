"""The Arrow schemas of the tables that every dataset has, and what makes a row's fingerprint."""

from __future__ import annotations

import pyarrow as pa

from trainset.identity import row_fingerprint, row_id

TIME = pa.timestamp("us", tz="UTC")

MEDIA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),  # <source name>/<relative path>
        pa.field("uri", pa.string()),  # relative to the home, or absolute
        pa.field("version_id", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("mime", pa.string()),
        pa.field("modality", pa.string()),  # image, video, audio, document, other
        pa.field("width", pa.int32()),  # pixels, upright (EXIF applied)
        pa.field("height", pa.int32()),
        pa.field("duration", pa.float64()),  # seconds
        pa.field("pages", pa.int32()),
        pa.field("source_uri", pa.string()),
        pa.field("source_version", pa.string()),  # mtime_ns or ETag when it was read
        pa.field("source_state", pa.string()),  # present, missing
        pa.field("missing_since", TIME),
        pa.field("unreadable", pa.string()),  # reason, or null
        pa.field("ingested_at", TIME),
        pa.field("row_fp", pa.uint64()),
    ]
)
# Not: when it was ingested, and not the source's own version (a touched file is the same row).
MEDIA_FINGERPRINT = tuple(
    n for n in MEDIA.names if n not in ("row_id", "source_version", "ingested_at", "row_fp")
)

ANNOTATIONS = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),  # of <source>/<stream>/<record id>
        pa.field("source", pa.string(), nullable=False),  # the `metadata:` entry's name
        pa.field("stream", pa.string(), nullable=False),
        pa.field("record_id", pa.string(), nullable=False),  # unique in the stream
        pa.field("media_id", pa.string()),  # row_id of the medium, null when unmatched
        pa.field("media_key", pa.string()),
        pa.field("match", pa.string()),  # key, path, near, filename, sha256, orphan, ambiguous
        pa.field("media_ref", pa.string()),  # what the record says of its medium, as found
        pa.field(
            "kind", pa.string()
        ),  # box polygon mask keypoints caption class … empty skipped prediction record
        pa.field("class", pa.string()),
        pa.field("bbox", pa.list_(pa.float64(), 4)),  # x, y, width, height in pixels
        pa.field("geometry", pa.string()),  # JSON: polygons, RLE, keypoints
        pa.field("text", pa.string()),  # captions, transcripts
        pa.field("score", pa.float64()),
        pa.field("attributes", pa.string()),  # JSON: everything else the record held
        pa.field("row_fp", pa.uint64()),
    ]
)
ANNOTATIONS_FINGERPRINT = tuple(n for n in ANNOTATIONS.names if n not in ("row_id", "row_fp"))

LABELS_STATUS = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),  # <media_id>/<source>
        pa.field("media_id", pa.string(), nullable=False),
        pa.field("media_key", pa.string()),
        pa.field("source", pa.string()),  # null: no source names the medium
        pa.field("state", pa.string()),  # labelled, labelled_empty, skipped, unlabelled
        pa.field("row_fp", pa.uint64()),
    ]
)
LABELS_STATUS_FINGERPRINT = ("state",)  # the row id says all else

FINGERPRINTS = {
    "media": MEDIA_FINGERPRINT,
    "annotations": ANNOTATIONS_FINGERPRINT,
    "media_labels_status": LABELS_STATUS_FINGERPRINT,
}
SCHEMAS = {"media": MEDIA, "annotations": ANNOTATIONS, "media_labels_status": LABELS_STATUS}


def computed_fields(name: str, output: pa.DataType) -> list[pa.Field]:
    """The four columns of computed column ``name``."""
    return [
        pa.field(name, output),
        pa.field(f"{name}__src", pa.uint64()),
        pa.field(f"{name}__fn", pa.string()),
        pa.field(f"{name}__err", pa.string()),
    ]


def is_computed_part(name: str) -> bool:
    return name.endswith(("__src", "__fn", "__err"))


def finish_rows(table: str, rows: list[dict[str, object]]) -> pa.Table:
    """Rows of ``media`` or ``annotations`` as Arrow, with ``row_fp`` (and media's ``row_id``)."""
    names = FINGERPRINTS[table]
    for row in rows:
        if table == "media":
            row["row_id"] = row_id(str(row["key"]))
        row["row_fp"] = row_fingerprint(row, names)
    return pa.Table.from_pylist(rows, schema=SCHEMAS[table])
