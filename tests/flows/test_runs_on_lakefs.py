"""Whole runs of a dataset whose versions a lakeFS server keeps: as in git, to the last hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest
from services.lakefs_homes import LakeFSHomes
from services.tiny_source import CELLS, MEDIA, TinySource, make_tiny_source, picture

import trainset
from trainset.run.context import Run, RunContext, now
from trainset.run.links import link_media
from trainset.run.local import run_pipeline
from trainset.versions.lakefs.store import LakeFSVersions


@pytest.fixture
def tiny(lakefs_in_a_folder: LakeFSHomes, tmp_path: Path) -> TinySource:
    """The tiny source, after its first run."""
    source = make_tiny_source(tmp_path)
    source.write_spec(home=lakefs_in_a_folder.new_root(), versions=f"lakefs://{_name(tmp_path)}")
    first = run_pipeline(source.spec)
    assert (first.status, first.tag) == ("completed", "v1")
    assert (first.transfer.sent, first.cells.computed) == (MEDIA, CELLS)
    return source


def _name(folder: Path) -> str:
    """A repository of the test's own."""
    return f"t-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"


def test_every_later_run_does_what_changed_and_no_more(tiny: TinySource) -> None:
    second = run_pipeline(tiny.spec)
    assert (second.status, second.exit_code, second.tag) == ("unchanged", 0, "v1")
    assert (second.transfer.sent, second.cells.computed) == (0, 0)
    tiny.write("added.png", picture(100))
    third = run_pipeline(tiny.spec)
    assert (third.status, third.tag, third.transfer.sent) == ("completed", "v2", 1)
    tiny.home.versions.rollback("v1")
    fourth = run_pipeline(tiny.spec)
    assert (fourth.status, fourth.tag, fourth.transfer.sent) == ("completed", "v3", 0)
    assert tiny.root_hash("v3") == tiny.root_hash("v2") != tiny.root_hash("v1")
    (tiny.media / "03.png").unlink()
    fifth = run_pipeline(tiny.spec)
    assert (fifth.status, fifth.tag, fifth.transfer.sent) == ("completed", "v4", 0)
    assert [key for key, row in tiny.media_rows().items() if row["missing_since"]] == ["03.png"]
    assert len(list(tiny.home.versions.log())) == 5
    assert tiny.home.versions.runs() == []


def test_a_tag_shows_every_medium_by_reference(tiny: TinySource) -> None:
    rows = {f"media/cam/{name}": row["sha256"] for name, row in tiny.media_rows("v1").items()}
    assert shown(tiny, "v1") == rows
    assert len(rows) == MEDIA
    tiny.write("00.png", picture(100))
    tiny.write("added.png", picture(101))
    assert run_pipeline(tiny.spec).tag == "v2"
    then = {f"media/cam/{name}": row["sha256"] for name, row in tiny.media_rows("v2").items()}
    assert shown(tiny, "v2") == then
    assert shown(tiny, "v1") == rows
    tiny.write_spec(link_media="never")
    third = run_pipeline(tiny.spec)
    assert (third.status, third.tag, third.transfer.sent) == ("completed", "v3", 0)
    assert shown(tiny, "v3") == {}
    assert run_pipeline(tiny.spec).status == "unchanged"


def test_media_known_by_version_id_only_are_not_linked_and_the_run_says_so(
    tiny: TinySource,
) -> None:
    run = Run(RunContext(run_id="pinned", started_at=now(), spec=tiny.spec))
    table = run.table("media")
    assert table is not None
    row = table.scan(where="key = 'cam/00.png'").read_all().to_pylist()[0]
    row |= {"uri": "s3://elsewhere/00.png", "version_id": "3", "sha256": None, "row_fp": 1}
    table.upsert(pa.Table.from_pylist([row], schema=table.schema))
    said = link_media(run)
    run.workspace.discard()
    assert (said.links.unlinked, said.pinned) == (1, 1)
    assert "mode: copy" in said.notes[0]


def shown(tiny: TinySource, ref: str) -> dict[str, str]:
    """sha256 by path of what the repository shows of media."""
    versions = tiny.home.versions
    assert isinstance(versions, LakeFSVersions)
    entries = versions.repository.list(versions.resolve(ref).id, "media/")
    return {entry.path: entry.checksum for entry in entries}


def test_the_dataset_is_the_same_as_in_git_and_opens_by_its_repository(
    tiny: TinySource, tmp_path: Path
) -> None:
    on_lakefs = tiny.root_hash("v1")
    opened = trainset.open(tiny.spec.versions, ref="v1")
    media = opened.table("media").to_arrow().to_pylist()
    assert len(media) == MEDIA
    one = next(row for row in media if row["key"] == "cam/00.png")
    assert opened.home.read_media(one["uri"]) == (tiny.media / "00.png").read_bytes()
    tiny.write_spec(home=str(tmp_path / "git"), versions="git")
    assert run_pipeline(tiny.spec).status == "completed"
    assert tiny.root_hash("v1") == on_lakefs
