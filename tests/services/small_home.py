"""A small real home: media in the store, rows in Lance, one commit of the git version store."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from PIL import Image

from trainset.compute.base import Function, ItemError
from trainset.compute.functions import encode_function, function_path
from trainset.dataset import Dataset
from trainset.dataset import open as open_dataset
from trainset.home import Home, open_home
from trainset.identity import row_id
from trainset.media.probe import probe_media
from trainset.model import Credentials
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.schema import ANNOTATIONS, MEDIA, computed_fields, finish_rows
from trainset.versions.base import Workspace

Cells = Mapping[str, Any]  # value, or ItemError, by media key
WHEN = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass(frozen=True)
class SmallHome:
    """Where the home lies, and how to add a commit to it."""

    home: Home
    credentials: Credentials | None

    def commit(self, run_id: str, files: dict[str, bytes], labels: Sequence[dict[str, Any]]) -> str:
        """Store files and labels as one commit on main; returns its id."""
        workspace = self.home.versions.begin(run_id)
        media = [self._media_row(key, data) for key, data in files.items()]
        _upsert(workspace, "media", media)
        _upsert(workspace, "annotations", [_label_row(i, x) for i, x in enumerate(labels)])
        commit = workspace.commit("files", {})
        assert commit is not None
        workspace.merge()
        return commit.id

    def compute(
        self, run_id: str, column: str, function: Function, output: pa.DataType, cells: Cells
    ) -> str:
        """Fill a computed column in one commit; a value that is an ItemError is a failed cell."""
        workspace = self.home.versions.begin(run_id)
        table = LanceTableStore().open(workspace.table("media"))
        table.add_columns(computed_fields(column, output))
        fields = [pa.field("row_id", pa.string()), *computed_fields(column, output)]
        by_id = {row_id(key): value for key, value in cells.items()}
        tokens = []
        for fragment in table.fragments():
            ids = table.read_fragment(fragment, ["row_id"])["row_id"].to_pylist()
            rows = [_cell(column, function, id_, by_id[id_]) for id_ in ids if id_ in by_id]
            if rows:
                filled = pa.Table.from_pylist(rows, schema=pa.schema(fields))
                tokens.append(table.stage_fill(fragment, filled))
        table.commit_fills(tokens)
        workspace.write(function_path(function.fn_id), encode_function(function, column))
        commit = workspace.commit("cells", {})
        assert commit is not None
        workspace.merge()
        return commit.id

    def open(self, ref: str = "main") -> Dataset:
        return open_dataset(self.home.url, ref, credentials=self.credentials)

    def _media_row(self, key: str, data: bytes) -> dict[str, Any]:
        sha256 = hashlib.sha256(data).hexdigest()
        uri = self.home.media_uri(sha256)
        self.home.store.put(uri, data, sha256=sha256)
        facts = probe_media(data, key).model_dump()
        return {
            "key": key,
            "uri": uri,
            "sha256": sha256,
            "size": len(data),
            **facts,
            "source_uri": f"/nas/{key}",
            "source_state": "present",
            "ingested_at": WHEN,
        }


def _cell(column: str, function: Function, id_: str, value: Any) -> dict[str, Any]:
    failed = isinstance(value, ItemError)
    return {
        "row_id": id_,
        column: None if failed else value,
        f"{column}__src": 1,
        f"{column}__fn": function.fn_id,
        f"{column}__err": value.encode() if failed else None,
    }


def _label_row(number: int, label: dict[str, Any]) -> dict[str, Any]:
    record = {"source": "boxes", "stream": "instances", "record_id": str(number), **label}
    name = f"{record['source']}/{record['stream']}/{record['record_id']}"
    if (key := record.get("media_key")) is not None:
        record |= {"media_id": row_id(key), "match": "key"}
    return {"row_id": row_id(name), "kind": "box", **record}


def _upsert(workspace: Workspace, name: str, rows: list[dict[str, Any]]) -> None:
    store, location = LanceTableStore(), workspace.table(name)
    schema = {"media": MEDIA, "annotations": ANNOTATIONS}[name]
    table = store.open(location) if store.exists(location) else store.create(location, schema)
    table.upsert(finish_rows(name, rows))


def picture(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40 + number, 30), (number * 20 % 256, 90, 40)).save(buffer, "PNG")
    return buffer.getvalue()


PICTURES = {f"cameras/{i:02d}.png": picture(i) for i in range(12)}
FILES = {
    **PICTURES,
    "cameras/copy-of-03.png": PICTURES["cameras/03.png"],
    "cameras/broken.jpg": b"\xff\xd8\xff\xe0 cut off",
}
LABELS = [
    {"media_key": "cameras/03.png", "class": "car", "bbox": [1.0, 2.0, 3.0, 4.0]},
    {"media_key": "cameras/03.png", "class": "bus", "attributes": '{"occluded": 1}'},
    {"media_key": "cameras/05.png", "class": "car", "kind": "caption", "text": "a car"},
    {"media_key": None, "media_ref": "lost.png", "class": "car", "match": "orphan"},
]


def make_small_home(url: str, credentials: Credentials | None = None) -> SmallHome:
    """Twelve pictures, a copy, a broken file and three matched labels, tagged v1."""
    small = SmallHome(open_home(url, credentials=credentials, create=True), credentials)
    small.commit("run-1", FILES, LABELS)
    small.home.versions.tag("v1")
    return small
