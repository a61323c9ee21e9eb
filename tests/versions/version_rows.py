"""A few lines that make versioned tables short to write and to read back in tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from trainset.home import Home
from trainset.identity import row_fingerprint, row_id
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTable, LanceTableStore
from trainset.versions.base import VersionStore
from trainset.versions.git import GitVersions
from trainset.versions.lakefs.store import LakeFSVersions

SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("key", pa.string()),
        pa.field("x", pa.int64()),
        pa.field("y", pa.string()),
        pa.field("row_fp", pa.uint64()),
    ]
)
TABLES = LanceTableStore()
GIT = ["git in a folder", "git in a bucket"]
LAKEFS = ["lakeFS in a folder", "lakeFS in a bucket"]

Reopen = Callable[[], VersionStore]
ReopenHome = Callable[[], Home]


def rows(values: Mapping[str, tuple[int | None, str | None]]) -> pa.Table:
    """Rows ``{key: (x, y)}`` with ids and fingerprints."""
    made = []
    for key, (x, y) in values.items():
        row: dict[str, Any] = {"row_id": row_id(key), "key": key, "x": x, "y": y}
        row["row_fp"] = row_fingerprint(row, ("key", "x", "y"))
        made.append(row)
    return pa.Table.from_pylist(made, schema=SCHEMA)


def open_or_create(location: TableLocation, schema: pa.Schema = SCHEMA) -> LanceTable:
    if TABLES.exists(location):
        return TABLES.open(location)
    return TABLES.create(location, schema)


def put_rows(workspace: Any, table: str, values: Mapping[str, tuple[int, str]]) -> None:
    open_or_create(workspace.table(table)).upsert(rows(values))


def held(place: Any, table: str) -> dict[str, tuple[int, str]]:
    """Rows of a snapshot or workspace as ``{key: (x, y)}``."""
    found = TABLES.open(place.table(table)).scan(["key", "x", "y"]).read_all().to_pylist()
    return {row["key"]: (row["x"], row["y"]) for row in found}


def run_once(
    versions: VersionStore, run_id: str, values: Mapping[str, Mapping[str, tuple[int, str]]]
) -> Any:
    """A whole run: upsert ``{table: {key: (x, y)}}``, commit, merge; gives main's new commit."""
    workspace = versions.begin(run_id)
    for table, changed in values.items():
        put_rows(workspace, table, changed)
    assert workspace.commit(f"run {run_id}", {"run": run_id}) is not None
    return workspace.merge()


def table_in_place(versions: VersionStore, commit: str, name: str) -> str:
    """Where a commit's table is read without a checkout."""
    if isinstance(versions, GitVersions):
        return versions.home.store.uri(f"tables/{name}")
    assert isinstance(versions, LakeFSVersions)
    return f"s3://{versions.repository.name}/{commit}/tables/{name}"


def open_git(home: Home) -> GitVersions:
    versions = home.versions
    assert isinstance(versions, GitVersions)
    return versions
