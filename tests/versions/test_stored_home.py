"""A home of every published layout opens, reads right and can be written on.

Layout 1 has its versions in git, layout 2 on a lakeFS server; both archives hold the same dataset.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from services.lakefs_archive import restore_home
from version_rows import TABLES, table_in_place

import trainset
from trainset.home import open_home
from trainset.tables.schema import ANNOTATIONS, finish_rows
from trainset.versions.base import VersionStore
from trainset.versions.replay import replay

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(params=[1, 2])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the home of a layout was laid."""
    archive = FIXTURES / f"home-layout-{request.param}.tar.gz"
    if request.param == 2:
        return restore_home(archive, request.getfixturevalue("lakefs_in_a_folder")).url
    with tarfile.open(archive) as packed:
        packed.extraction_filter = getattr(tarfile, "data_filter", None)  # 3.11.2 has none
        packed.extractall(tmp_path)
    return str(tmp_path / "home")


@pytest.fixture
def stored(url: str) -> VersionStore:
    return open_home(url).versions


def media(versions: VersionStore, ref: str) -> dict[str, float]:
    rows = TABLES.open(versions.snapshot(ref).table("media")).scan(["key", "length"]).read_all()
    return {row["key"]: row["length"] for row in rows.to_pylist()}


def labels(versions: VersionStore, ref: str) -> dict[str, str]:
    table = TABLES.open(versions.snapshot(ref).table("annotations"))
    rows = table.scan(["record_id", "class"]).read_all().to_pylist()
    return {row["record_id"]: row["class"] for row in rows}


OLD = {"cam/a.jpg": 3.0, "cam/b.jpg": 3.0, "cam/c.jpg": 3.0}
NEW = {"cam/a.jpg": 3.0, "cam/b.jpg": 3.0, "cam/d.jpg": 4.0}


def test_its_tags_and_branches_read_right(stored: VersionStore) -> None:
    assert list(stored.tags()) == ["v1", "v2"]
    assert list(stored.branches()) == ["experiment", "main"]
    assert [(c.message, c.tags) for c in stored.log()] == [
        ("Commit of run-2", ("v2",)),
        ("Commit of run-1", ("v1",)),
    ]
    assert stored.resolve("v2").metadata == {"run_id": "run-2"}
    assert media(stored, "v1") == OLD
    assert media(stored, "v2") == media(stored, "main") == NEW
    assert labels(stored, "v1") == {"1": "car", "2": "bus"}
    assert labels(stored, "v2") == {"1": "car", "2": "truck", "3": "car"}
    assert labels(stored, "experiment") == {"1": "car"}
    assert stored.snapshot("v1").read("meta/boxes/default/_state.json") == b'{"cursor": 1}\n'
    assert stored.snapshot("v2").list("provenance/") == [
        "provenance/run-1/events.parquet",
        "provenance/run-2/events.parquet",
    ]
    for commit in stored.log():
        in_place = table_in_place(stored, commit.id, "media")
        assert stored.snapshot(commit.id).table("media").uri == in_place


def test_a_reader_opens_it_by_tag(url: str) -> None:
    dataset = trainset.open(url, ref="v1")
    rows = dataset.table("media").to_arrow().to_pylist()
    assert {row["key"] for row in rows} == set(OLD)
    assert dataset.read_media(rows[0]["uri"]) in (b"aaa", b"bbb", b"ccc")


def test_runs_merges_and_rollbacks_go_on_in_it(stored: VersionStore) -> None:
    workspace = stored.begin("next")
    row: dict[str, object] = {
        "row_id": "boxes/default/4",
        "source": "boxes",
        "stream": "default",
        "record_id": "4",
        "class": "bus",
    }
    TABLES.open(workspace.table("annotations")).upsert(finish_rows("annotations", [row]))
    assert ANNOTATIONS.names == TABLES.open(workspace.table("annotations")).schema.names
    stored.rollback("v1")
    assert media(stored, "main") == OLD
    again, moved, _ = replay(stored, workspace)
    assert moved == ()
    assert again.commit("next", {})
    again.merge()
    assert labels(stored, "main") == {"1": "car", "2": "bus", "4": "bus"}
    assert stored.tag("v2") == "v2.2"
    merged = stored.merge("experiment")  # no bus of v1 on the branch
    assert labels(stored, "main") == {"1": "car", "4": "bus"}
    assert stored.resolve("main").id == merged.id
    assert labels(stored, "v2.2") == {"1": "car", "2": "bus", "4": "bus"}
