"""A small dataset of media and labels on any version store, made through the public seams."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from version_rows import open_or_create

from trainset.dataset import Dataset
from trainset.home import Home
from trainset.identity import row_id
from trainset.model import Commit
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.root_hash import root_hash
from trainset.tables.schema import ANNOTATIONS, MEDIA, computed_fields, finish_rows
from trainset.versions.base import Workspace

TABLES = LanceTableStore()


def put_media(home: Home, workspace: Workspace, bodies: Mapping[str, bytes], **facts: Any) -> None:
    """Rows by key and their bytes in the home; ``facts`` are columns of all of them."""
    rows = [medium(home, key, body) | facts for key, body in bodies.items()]
    for row, body in zip(rows, bodies.values(), strict=True):
        home.store.put(row["uri"], body, sha256=row["sha256"])
    open_or_create(workspace.table("media"), MEDIA).upsert(finish_rows("media", rows))


def medium(home: Home, key: str, body: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(body).hexdigest()
    return {
        "key": key,
        "uri": home.media_uri(sha256),
        "sha256": sha256,
        "size": len(body),
        "mime": "image/png",
        "modality": "image",
        "source_uri": f"/nas/{key}",
        "source_state": "present",
    }


def put_labels(workspace: Workspace, labels: Mapping[str, tuple[str, str]]) -> None:
    """Labels ``{record id: (key of the medium, class)}``."""
    rows: list[dict[str, object]] = [
        {
            "row_id": row_id(f"boxes/all/{record}"),
            "source": "boxes",
            "stream": "all",
            "record_id": record,
            "media_id": row_id(key),
            "media_key": key,
            "match": "key",
            "kind": "class",
            "class": name,
        }
        for record, (key, name) in labels.items()
    ]
    table = open_or_create(workspace.table("annotations"), ANNOTATIONS)
    table.upsert(finish_rows("annotations", rows))


def compute(workspace: Workspace, values: Mapping[str, str], *, function: str = "f1") -> int:
    """Fill column ``tag`` of media as the engine does: what is there by this function stays.

    Returns:
        How many cells were computed.
    """
    table = TABLES.open(workspace.table("media"))
    table.add_columns(computed_fields("tag", pa.string()))
    columns = ["row_id", "key", "tag__fn"]
    tokens, computed = [], 0
    for fragment in table.fragments():
        due = [
            {
                "row_id": row["row_id"],
                "tag": values[row["key"]],
                "tag__src": 7,
                "tag__fn": function,
                "tag__err": None,
            }
            for row in table.read_fragment(fragment, columns).to_pylist()
            if row["key"] in values and row["tag__fn"] != function
        ]
        if due:
            fields = [pa.field("row_id", pa.string()), *computed_fields("tag", pa.string())]
            tokens.append(
                table.stage_fill(fragment, pa.Table.from_pylist(due, schema=pa.schema(fields)))
            )
            computed += len(due)
    table.commit_fills(tokens)
    return computed


def publish(workspace: Workspace) -> Commit:
    """Commit with the root hash, as a run does, and merge."""
    tables = {name: TABLES.open(workspace.table(name)) for name in workspace.tables()}
    facts = {"run_id": workspace.run_id, "root": root_hash(tables)}
    assert workspace.commit(f"run {workspace.run_id}", facts) is not None
    return workspace.merge()


def dataset(home: Home, ref: str = "main") -> Dataset:
    return Dataset(home, home.versions.snapshot(ref), ref)
