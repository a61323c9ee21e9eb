"""A home that the first version of trainset wrote opens, reads right and can be written on."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from version_rows import TABLES, open_git

import trainset
from trainset.home import open_home
from trainset.tables.schema import ANNOTATIONS, finish_rows
from trainset.versions.git import GitVersions
from trainset.versions.replay import replay

ARCHIVE = Path(__file__).parents[1] / "fixtures" / "home-layout-1.tar.gz"


@pytest.fixture
def stored(tmp_path: Path) -> GitVersions:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return open_git(open_home(str(tmp_path / "home")))


def media(versions: GitVersions, ref: str) -> dict[str, float]:
    rows = TABLES.open(versions.snapshot(ref).table("media")).scan(["key", "length"]).read_all()
    return {row["key"]: row["length"] for row in rows.to_pylist()}


def labels(versions: GitVersions, ref: str) -> dict[str, str]:
    table = TABLES.open(versions.snapshot(ref).table("annotations"))
    rows = table.scan(["record_id", "class"]).read_all().to_pylist()
    return {row["record_id"]: row["class"] for row in rows}


OLD = {"cam/a.jpg": 3.0, "cam/b.jpg": 3.0, "cam/c.jpg": 3.0}
NEW = {"cam/a.jpg": 3.0, "cam/b.jpg": 3.0, "cam/d.jpg": 4.0}


def test_its_tags_and_branches_read_right(stored: GitVersions) -> None:
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
        assert stored.snapshot(commit.id).table("media").uri.endswith("/home/tables/media")


def test_a_reader_opens_it_by_tag(stored: GitVersions) -> None:
    dataset = trainset.open(stored.home.url, ref="v1")
    rows = dataset.table("media").to_arrow().to_pylist()
    assert {row["key"] for row in rows} == set(OLD)
    assert dataset.read_media(rows[0]["uri"]) in (b"aaa", b"bbb", b"ccc")


def test_runs_merges_and_rollbacks_go_on_in_it(stored: GitVersions) -> None:
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
