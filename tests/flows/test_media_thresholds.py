"""Media whose bytes change under their key: counted, reported, refused above the spec's number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from services.tiny_source import TinySource, make_tiny_source, picture

from trainset.run import local
from trainset.run.media_changes import MediaChanges, count_media_changes
from trainset.tables.base import TableLocation
from trainset.tables.lance_store import LanceTable, LanceTableStore
from trainset.tables.schema import MEDIA, finish_rows


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    source = make_tiny_source(tmp_path)
    source.write_spec(exports={}, columns={})
    return source


def test_media_that_change_under_their_key_are_refused_above_the_limit(tiny: TinySource) -> None:
    tiny.write_spec(gate={"media_changed": "10%"})
    assert local.run_pipeline(tiny.spec).status == "completed"
    tiny.write("00.png", picture(100))
    assert local.run_pipeline(tiny.spec).status == "completed"  # one of fourteen
    root = tiny.root_hash()
    for number in range(1, 4):
        tiny.write(f"{number:02d}.png", picture(100 + number))
    refused = local.run_pipeline(tiny.spec)
    assert refused.status == "refused"
    assert tiny.root_hash() == root
    page = tiny.home.store.get(f"runs/{refused.run_id}/report.html").decode()
    assert "3 of 14 media hold other bytes under the same key" in page
    tiny.write_spec(gate={})
    done = local.run_pipeline(tiny.spec)
    assert done.status == "completed"
    page = tiny.home.store.get(f"runs/{done.run_id}/report.html").decode()
    assert tiny.root_hash() in page  # the verdict names what was judged


def test_changes_that_the_source_does_not_admit_are_counted_apart(tmp_path: Path) -> None:
    def row(key: str, sha256: str | None, size: int, version: str) -> dict[str, Any]:
        return {"key": key, "sha256": sha256, "size": size, "source_version": version}

    def table(name: str, *rows: dict[str, Any]) -> LanceTable:
        made = LanceTableStore().create(TableLocation(str(tmp_path / name)), MEDIA)
        made.upsert(finish_rows("media", list(rows)))
        return made

    before = table(
        "before",
        row("same", "1", 10, "t1"),
        row("changed", "2", 10, "t1"),
        row("longer", "3", 10, "t1"),
        row("rotted", "4", 10, "t1"),
        row("unread", None, 10, "t1"),
        row("gone", "6", 10, "t1"),
    )
    after = table(
        "after",
        row("same", "1", 10, "t2"),
        row("changed", "22", 10, "t2"),
        row("longer", "33", 11, "t1"),
        row("rotted", "44", 10, "t1"),
        row("unread", "5", 10, "t1"),
        row("new", "7", 10, "t1"),
    )
    assert count_media_changes(before, after) == MediaChanges(before=5, changed=3, silently=1)
    assert count_media_changes(before, before) == MediaChanges(before=5)
    assert count_media_changes(None, after) == MediaChanges()
