"""kill -9 at every step of a run, then the same command: whole, and nothing done twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from services.dying import killed_after
from services.tiny_source import (
    CELLS,
    COLUMNS,
    MEDIA,
    PICTURES,
    TinySource,
    make_tiny_source,
    picture,
)

from trainset.run.local import run_pipeline

BATCH = 256  # contents that the operators used here take at once


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    return make_tiny_source(tmp_path)


def test_killed_in_the_middle_of_the_transfer_nothing_is_sent_twice(tiny: TinySource) -> None:
    killed_after(tiny.spec_file, "trainset.transfer.send_file:FileSender._put", 5)
    landed = tiny.media_objects()
    assert 5 <= len(landed) < MEDIA
    assert tiny.home.versions.head() is None
    again = run_pipeline(tiny.spec)
    assert again.status == "completed"
    assert again.transfer.balances
    assert (again.transfer.planned, again.transfer.sent) == (MEDIA, MEDIA - len(landed))
    after = tiny.media_objects()
    assert {name: after[name] for name in landed} == landed, "what had landed was not put again"
    assert len(tiny.media_rows()) == len(after) == MEDIA
    assert run_pipeline(tiny.spec).status == "unchanged"


def test_killed_in_the_middle_of_compute_only_the_batch_in_flight_is_computed_again(
    tmp_path: Path,
) -> None:
    tiny = make_tiny_source(tmp_path, pictures=BATCH + 8)
    tiny.write_spec(exports={}, metadata=[])
    killed_after(tiny.spec_file, "trainset.compute.cache:CellCache.put", 1)
    thumbs = Path(tiny.spec.home) / "thumbs"
    made = {p: p.stat().st_mtime_ns for p in thumbs.rglob("*") if p.is_file()}
    again = run_pipeline(tiny.spec)
    assert (again.transfer.sent, again.transfer.bytes) == (0, 0)
    assert (again.cells.cached, again.cells.computed) == (BATCH * len(COLUMNS), 8 * len(COLUMNS))
    assert again.cells.failed == 0
    assert len(made) >= BATCH
    # What was being prepared when the process died may be made once more.
    assert sum(p.stat().st_mtime_ns != at for p, at in made.items()) <= 8
    assert all(
        row["phash"]
        for row in tiny.media_rows().values()
        if row["unreadable"] is None and row["modality"] == "image"
    )


def test_killed_after_its_transfer_a_run_loses_no_row(tiny: TinySource) -> None:
    killed_after(tiny.spec_file, "trainset.run.sending:send_work")
    landed = tiny.media_objects()
    assert len(landed) == MEDIA
    again = run_pipeline(tiny.spec)
    assert (again.transfer.planned, again.transfer.sent, again.transfer.bytes) == (MEDIA, 0, 0)
    assert len(tiny.media_rows()) == MEDIA
    assert tiny.media_objects() == landed


def test_killed_before_main_moves_the_next_run_starts_over_from_what_is_there(
    tiny: TinySource,
) -> None:
    tiny.write_spec(home="undisturbed")
    run_pipeline(tiny.spec)
    root = tiny.root_hash()
    tiny.write_spec(home="home")
    for step in (
        "trainset.run.compute:commit_work",
        "trainset.versions.workspace:GitWorkspace.commit",
    ):
        killed_after(tiny.spec_file, step)
        assert tiny.home.versions.head() is None, step
    landed = tiny.media_objects()
    last = run_pipeline(tiny.spec)
    assert (last.status, last.tag) == ("completed", "v1")
    assert (last.transfer.bytes, last.cells.computed, last.cells.cached) == (0, 0, CELLS)
    assert tiny.root_hash() == root
    assert tiny.media_objects() == landed
    assert tiny.home.versions.runs() == []
    assert list((tiny.home.state / "locks").iterdir()) == [], "nothing of the killed runs is left"


def test_killed_after_main_moved_the_next_run_has_it_all_and_tags_it(tiny: TinySource) -> None:
    for number, step in enumerate(
        (
            "trainset.versions.refs:FolderRefs.move",
            "trainset.versions.workspace:GitWorkspace.merge",
            "trainset.export.run:publish",
        ),
        start=1,
    ):
        tiny.write(f"added-{number}.png", picture(100 + number))
        # The first ref that moves is the run's own, the second is main.
        killed_after(tiny.spec_file, step, 2 if step.endswith("Refs.move") else 1)
        rows, landed = tiny.media_rows(), tiny.media_objects()
        assert len(rows) == MEDIA + number, step
        after = run_pipeline(tiny.spec)
        assert (after.status, after.tag, after.exit_code) == ("unchanged", f"v{number}", 0), step
        assert (after.transfer.bytes, after.cells.computed, after.cells.cached) == (0, 0, 0)
        assert [e.samples for e in after.exports] == [PICTURES + number]
        assert tiny.media_objects() == landed
    assert len(list(tiny.home.versions.log())) == 3
    assert list(tiny.home.versions.tags()) == ["v1", "v2", "v3"]
    assert tiny.home.versions.runs() == []
