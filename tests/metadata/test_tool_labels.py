"""Files of labelling tools and subtitles on their whole way: found by content, read, matched."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
from services.shared_data import DATA, needs_data

from trainset.identity import row_id
from trainset.metadata import open_reader
from trainset.metadata.align import AlignReport, align_annotations
from trainset.spec import MetadataSource

LABEL_STUDIO = [
    {
        "id": 1,
        "data": {"image": "/data/upload/1/821822e5-cat.jpg"},
        "annotations": [{"id": i, "was_cancelled": True, "result": []} for i in (1, 2)],
    }
]
CVAT = """<annotations><meta/><image id="0" name="cat.jpg" width="9" height="9">
<box label="cat" xtl="1" ytl="1" xbr="3" ybr="3"/></image></annotations>"""
LABELBOX = {
    "data_row": {"id": "D", "external_id": "cat.jpg"},
    "projects": {"P": {"labels": [{"id": "L", "annotations": {"objects": []}}]}},
}
HF = "left_file_name,right_file_name,label\ncat.jpg,dog.jpg,other\n"
SRT = "1\n00:00:01,000 --> 00:00:02,000\nHello\n"


def _read(folder: Path) -> tuple[pa.Table, dict[tuple[str, str], str], dict[str, str]]:
    """Records, label files by stream, and formats by file name."""
    source = MetadataSource.model_validate({"name": "labels", "from": str(folder)})
    reader = open_reader(source)
    streams = reader.discover()
    assert [s.unread for s in streams] == [None] * len(streams)
    batches = [batch for s in streams for batch in reader.read(s.name, {})]
    assert [batch.rejected for batch in batches] == [()] * len(batches)
    uris = {("labels", s.name): str(s.uri) for s in streams}
    formats = {Path(str(s.uri)).name: s.format for s in streams}
    return pa.concat_tables(batch.records for batch in batches), uris, formats


def _align(
    folder: Path, *media: str, root: str = "/data"
) -> tuple[list[dict[str, Any]], AlignReport, dict[str, str]]:
    records, uris, formats = _read(folder)
    keys = [f"cam/{path}" for path in media]
    n = len(keys)
    table = pa.table(
        {
            "row_id": [row_id(key) for key in keys],
            "key": keys,
            "source_uri": [f"{root}/{path}" for path in media],
            "sha256": pa.nulls(n, pa.string()),
            "width": pa.array([640] * n, pa.int32()),
            "height": pa.array([426] * n, pa.int32()),
            "modality": ["image"] * n,
        }
    )
    rows, report, _ = align_annotations(records, table, label_uris=uris)
    return rows.to_pylist(), report, formats


def test_every_format_is_found_by_content_read_and_matched(tmp_path: Path) -> None:
    for name, text in {
        "a.json": json.dumps(LABEL_STUDIO),
        "b.xml": CVAT,
        "c.ndjson": json.dumps(LABELBOX) + "\n",
        "metadata.csv": HF,
        "talk.en.srt": SRT,
    }.items():
        (tmp_path / name).write_text(text)
    rows, report, formats = _align(tmp_path, "x/cat.jpg", "x/dog.jpg", "x/talk.mp4")
    assert formats == {
        "a.json": "label-studio",
        "b.xml": "cvat",
        "c.ndjson": "labelbox",
        "metadata.csv": "hf-folder",
        "talk.en.srt": "subtitles",
    }
    found = Counter((r["media_key"], r["kind"], r["class"] or r["text"]) for r in rows)
    assert found == {
        ("cam/x/cat.jpg", "skipped", None): 2,
        ("cam/x/cat.jpg", "box", "cat"): 1,
        ("cam/x/cat.jpg", "empty", None): 1,
        ("cam/x/cat.jpg", "class", "other"): 1,
        ("cam/x/dog.jpg", "class", "other"): 1,
        ("cam/x/talk.mp4", "caption", "Hello"): 1,
    }
    assert report.duplicates == 0  # two people may skip one task


@needs_data
def test_the_real_polygon_meets_its_photo_behind_the_upload_prefix() -> None:
    folder = DATA / "labels/label_studio_export"
    rows, _, _ = _align(folder / "data_polygons.json", "photos/coco/000000000025.jpg", "b.jpg")
    (row,) = rows
    assert (row["media_key"], row["match"]) == ("cam/photos/coco/000000000025.jpg", "filename")


@needs_data
def test_yolo_labels_of_train_and_val_with_one_stem_are_never_given_each_others_image() -> None:
    folder = DATA / "labels/yolo/labels"
    images = "images/train/1.jpg", "images/val/1.jpg"
    rows, _, _ = _align(folder / "labels", *images, root=str(folder))
    refs = Counter(row["media_ref"] for row in rows)
    assert refs == {"../../images/train/1": 2, "../../images/val/1": 2}
    for row in rows:
        own = row["media_ref"].replace("../../", "cam/") + ".jpg"
        assert row["media_key"] in (own, None)
