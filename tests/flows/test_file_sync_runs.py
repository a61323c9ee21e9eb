"""Label files through whole runs: killed in the middle, taken back, and two at the same time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from services.dying import killed_after
from services.tiny_source import TinySource, make_tiny_source

from trainset.metadata.store import load_records
from trainset.run import local
from trainset.run.context import RunContext, begin_run, end_run
from trainset.run.publish import publish
from trainset.run.reports import StageReport

SOURCES = [
    {"name": "captions", "from": "labels/captions.parquet"},
    {"name": "yolo", "from": "labels/yolo"},
]


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    source = make_tiny_source(tmp_path)
    source.write_spec(columns={}, exports={}, metadata=SOURCES)
    captions(source, "first")
    for number in range(6):
        yolo(source, f"{number:02d}.txt", "0 .5 .5 .1 .1\n")
    return source


def captions(tiny: TinySource, text: str) -> None:
    names = [f"{number:02d}.png" for number in range(12)]
    table = pa.table({"file_name": names, "caption": [f"{text} {name}" for name in names]})
    pq.write_table(table, tiny.root / "labels" / "captions.parquet")


def yolo(tiny: TinySource, name: str, body: str) -> None:
    place = tiny.root / "labels" / "yolo" / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(body)


def rows(tiny: TinySource, ref: str = "main") -> list[dict[str, Any]]:
    found = tiny.open(ref).table("annotations").to_arrow().to_pylist()
    return sorted(found, key=lambda row: row["row_id"])


@pytest.mark.parametrize(
    ("step", "times"),
    [
        ("trainset.metadata.parts:ParquetPart.add", 1),  # rows read, nothing written
        ("trainset.versions.workspace:GitWorkspace.put_file", 1),  # a part, no manifest
        ("trainset.versions.workspace:GitWorkspace.write", 1),  # a manifest, no state
        ("trainset.versions.workspace:GitWorkspace.write", 3),  # the same, of the second stream
        ("trainset.run.metadata:sync_source", 1),  # between two sources
    ],
)
def test_a_sync_killed_anywhere_has_the_rows_of_an_undisturbed_one(
    tiny: TinySource, step: str, times: int
) -> None:
    local.run_pipeline(tiny.spec)
    captions(tiny, "second")
    yolo(tiny, "01.txt", "1 .4 .4 .1 .1\n0 .5 .5 .2 .2\n")
    yolo(tiny, "07.txt", "")
    (tiny.root / "labels" / "yolo" / "05.txt").unlink()
    tiny.write_spec(home="undisturbed")
    local.run_pipeline(tiny.spec)
    expected = rows(tiny)
    tiny.write_spec(home="home")
    before = rows(tiny)
    killed_after(tiny.spec_file, step, times)
    assert rows(tiny) == before
    assert local.run_pipeline(tiny.spec).status == "completed"
    assert [row["row_id"] for row in rows(tiny)] == [row["row_id"] for row in expected]
    assert rows(tiny) == expected
    assert local.run_pipeline(tiny.spec).status == "unchanged"


def test_after_a_rollback_the_files_are_read_again_from_the_state_of_then(
    tiny: TinySource,
) -> None:
    first = local.run_pipeline(tiny.spec)
    assert first.commit is not None
    captions(tiny, "second")
    yolo(tiny, "01.txt", "1 .4 .4 .1 .1\n")
    local.run_pipeline(tiny.spec)
    expected = rows(tiny)
    tiny.home.versions.rollback(first.commit)
    assert rows(tiny) != expected
    local.run_pipeline(tiny.spec)
    assert rows(tiny) == expected


def worked(tiny: TinySource, run_id: str) -> tuple[RunContext, StageReport]:
    """A run that has done everything but publish."""
    context = local.new_context(tiny.spec, run_id=run_id)
    begin_run(context)
    return context, local.transfer(context) + local.sync(context) + local.compute(context)


def test_of_two_runs_with_the_same_sources_the_overtaken_one_reads_them_again(
    tiny: TinySource,
) -> None:
    local.run_pipeline(tiny.spec)
    captions(tiny, "second")
    yolo(tiny, "01.txt", "1 .4 .4 .1 .1\n")
    a, report_a = worked(tiny, "a")
    captions(tiny, "third")
    yolo(tiny, "02.txt", "1 .3 .3 .1 .1\n")
    yolo(tiny, "03.txt", "bad line\n")
    b, report_b = worked(tiny, "b")
    assert publish(a, report_a).status == "completed"
    second = publish(b, report_b)
    end_run(a)
    end_run(b)
    assert (second.status, second.replayed) == ("completed", 1)
    tiny.write_spec(home="fresh")
    local.run_pipeline(tiny.spec)
    expected = rows(tiny)
    tiny.write_spec(home="home")
    assert rows(tiny) == expected
    assert load_records(tiny.home.versions.snapshot("main")).num_rows == len(expected)
    assert local.run_pipeline(tiny.spec).status == "unchanged"
