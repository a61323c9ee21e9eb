"""A small home with two commits, made through the public seams."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from trainset.compute.base import Function, ItemError
from trainset.compute.functions import encode_function, function_path
from trainset.home import open_home
from trainset.identity import hash64, row_id
from trainset.model import MediaFacts
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTable, LanceTableStore
from trainset.tables.root_hash import root_hash
from trainset.tables.schema import ANNOTATIONS, MEDIA, computed_fields, finish_rows
from trainset.transfer.base import Outcome, SourceFile
from trainset.transfer.provenance import write_events

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OCR = Function(operator="ocr", version="1", params={}, output="string")
CLIP = Function(
    operator="open_clip",
    version="1",
    params={"model": "ViT-T", "weights": "test"},
    output="fixed_size_list<halffloat>[16]",
)
TEXTS = ["stop at the red light", "Café open", "stop stop stop", None]


def medium(number: int, body: bytes) -> dict[str, object]:
    sha = hashlib.sha256(body).hexdigest()
    return {
        "key": f"cam/{number}.jpg",
        "uri": f"media/{sha[:2]}/{sha}",
        "sha256": sha,
        "size": len(body),
        "mime": "image/jpeg",
        "modality": "image",
        "width": 100 * number,
        "height": 80,
        "source_uri": f"/nas/{number}.jpg",
        "source_version": "1",
        "source_state": "present",
        "ingested_at": NOW,
    }


def sent(number: int, body: bytes) -> Outcome:
    row = medium(number, body)
    file = SourceFile(
        key=str(row["key"]),
        source="cam",
        path=f"{number}.jpg",
        uri=str(row["source_uri"]),
        size=len(body),
        version="1",
        modified=NOW,
    )
    facts = MediaFacts(mime="image/jpeg", modality="image")
    sha256, uri = str(row["sha256"]), str(row["uri"])
    return Outcome(file=file, status="sent", sha256=sha256, uri=uri, facts=facts)


def label(number: int, media: int, class_: str) -> dict[str, object]:
    return {
        "row_id": row_id(f"boxes/a.json/{number}"),
        "source": "boxes",
        "stream": "a.json",
        "record_id": str(number),
        "media_id": row_id(f"cam/{media}.jpg"),
        "media_key": f"cam/{media}.jpg",
        "match": "filename",
        "kind": "box",
        "class": class_,
        "bbox": [1.0, 2.0, 3.0, 4.0],
    }


def cells(ids: list[str], numbers: list[int], shas: list[str]) -> pa.Table:
    """OCR text (one failed) and a 16-number vector that points along axis ``number``."""
    failed = ItemError(kind="decode", message="the page is black").encode()
    columns = {
        "row_id": ids,
        "text": [TEXTS[n - 1] for n in numbers],
        "text__src": pa.array([hash64(s) for s in shas], pa.uint64()),
        "text__fn": [OCR.fn_id] * len(ids),
        "text__err": [failed if TEXTS[n - 1] is None else None for n in numbers],
        "clip": pa.array(
            [[1.0 if i == n else 0.0 for i in range(16)] for n in numbers],
            pa.list_(pa.float16(), 16),
        ),
        "clip__src": pa.array([hash64(s) for s in shas], pa.uint64()),
        "clip__fn": [CLIP.fn_id] * len(ids),
    }
    return pa.table(columns)


def fill(table: LanceTable) -> None:
    tokens = []
    for fragment in table.fragments():
        rows = table.read_fragment(fragment, ["row_id", "key", "sha256"]).to_pylist()
        numbers = [int(row["key"][4:-4]) for row in rows]
        staged = cells([r["row_id"] for r in rows], numbers, [r["sha256"] for r in rows])
        tokens.append(table.stage_fill(fragment, staged))
    table.commit_fills(tokens)


@pytest.fixture(scope="session")
def home_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """v1: media 1 to 3; v2: media 1 to 4, one more label, and provenance."""
    url = str(tmp_path_factory.mktemp("cli") / "home")
    home = open_home(url, create=True)
    store = LanceTableStore()
    bodies = {n: f"bytes of {n}".encode() for n in range(1, 5)}
    for body in bodies.values():
        sha = hashlib.sha256(body).hexdigest()
        home.store.put(home.media_uri(sha), body, sha256=sha)
    labels = [label(1, 1, "car"), label(2, 1, "bus"), label(3, 2, "car")]
    for run, count, labelled in (("one", 3, 2), ("two", 4, 3)):
        work = home.versions.begin(run)
        media = open_or_create(store, work.table("media"), MEDIA)
        media.add_columns(
            [
                *computed_fields("text", pa.string()),
                *computed_fields("clip", pa.list_(pa.float16(), 16)),
            ]
        )
        media.upsert(finish_rows("media", [medium(n, bodies[n]) for n in range(1, count + 1)]))
        fill(media)
        annotations = open_or_create(store, work.table("annotations"), ANNOTATIONS)
        annotations.upsert(finish_rows("annotations", labels[:labelled]))
        for column, function in (("text", OCR), ("clip", CLIP)):
            work.write(function_path(function.fn_id), encode_function(function, column))
        tables = {"media": media, "annotations": annotations}
        events = write_events([sent(n, bodies[n]) for n in range(1, count + 1)], run_id=run, at=NOW)
        local = tmp_path_factory.mktemp("events") / events.name
        local.write_bytes(events.data)
        work.put_file(f"provenance/{run}/{events.name}", local)
        facts = {"run_id": run, "root": root_hash(tables), "provenance": events.head}
        work.commit(f"run {run}", facts)
        work.merge()
        home.versions.tag("v{}".format({"one": 1, "two": 2}[run]))
    return url


def open_or_create(store: LanceTableStore, at: TableLocation, schema: pa.Schema) -> LanceTable:
    return store.open(at) if store.exists(at) else store.create(at, schema)
