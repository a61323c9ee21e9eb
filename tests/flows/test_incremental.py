"""The second run and those after it: what did not change is not moved, computed or committed."""

from __future__ import annotations

from pathlib import Path

import pytest
from services.tiny_source import CELLS, COLUMNS, MEDIA, TinySource, make_tiny_source, picture

from trainset.run.local import run_pipeline


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    """The tiny source, after its first run."""
    source = make_tiny_source(tmp_path)
    first = run_pipeline(source.spec)
    assert (first.status, first.tag) == ("completed", "v1")
    assert (first.transfer.planned, first.transfer.sent) == (MEDIA, MEDIA)
    assert (first.cells.computed, first.cells.cached, first.cells.failed) == (CELLS, 0, 0)
    return source


def test_a_second_run_sends_computes_and_commits_nothing(tiny: TinySource) -> None:
    before, log = tiny.media_objects(), list(tiny.home.versions.log())
    second = run_pipeline(tiny.spec)
    assert (second.status, second.exit_code, second.tag) == ("unchanged", 0, "v1")
    assert second.commit == second.base == log[0].id
    assert (second.transfer.planned, second.transfer.skipped) == (MEDIA, MEDIA)
    assert second.transfer.bytes == second.transfer.sent == 0
    assert (second.cells.computed, second.cells.cached, second.cells.failed) == (0, 0, 0)
    assert list(tiny.home.versions.log()) == log
    assert list(tiny.home.versions.tags()) == ["v1"]
    assert tiny.media_objects() == before
    assert [e.samples for e in second.exports] == [12]


def test_one_file_added_and_one_changed_are_all_that_is_sent_and_computed(
    tiny: TinySource,
) -> None:
    before = tiny.media_objects()
    tiny.write("added.png", picture(100))
    tiny.write("03.png", picture(101))
    later = run_pipeline(tiny.spec)
    assert (later.status, later.exit_code, later.tag) == ("completed", 0, "v2")
    assert later.transfer.balances
    assert (later.transfer.sent, later.transfer.skipped) == (2, MEDIA - 1)
    assert later.transfer.bytes == len(picture(100)) + len(picture(101))
    assert (later.cells.computed, later.cells.cached) == (2 * len(COLUMNS), 0)
    after = tiny.media_objects()
    assert len(after.keys() - before.keys()) == 2
    assert {name: after[name] for name in before} == before, "nothing was put again"
    old, new = tiny.media_rows("v1"), tiny.media_rows("v2")
    assert new.keys() - old.keys() == {"added.png"}
    changed = {name for name in old if new[name] != old[name]}
    assert changed == {"03.png"}
    assert new["03.png"]["phash"] is not None


def test_a_touched_file_with_the_same_bytes_changes_no_cell(tiny: TinySource) -> None:
    tiny.write("03.png", picture(3))
    later = run_pipeline(tiny.spec)
    assert (later.transfer.duplicate, later.transfer.bytes) == (1, 0)
    assert (later.cells.computed, later.cells.cached) == (0, 0)
    again = run_pipeline(tiny.spec)
    assert (again.status, again.transfer.skipped) == ("unchanged", MEDIA)


def test_a_file_that_is_gone_at_its_source_stays_in_the_dataset(tiny: TinySource) -> None:
    before, objects = tiny.media_rows(), tiny.media_objects()
    (tiny.media / "03.png").unlink()
    later = run_pipeline(tiny.spec)
    assert (later.status, later.exit_code) == ("completed", 0)
    assert (later.transfer.planned, later.transfer.sent) == (MEDIA - 1, 0)
    row = tiny.media_rows()["03.png"]
    assert row["source_state"] == "missing"
    assert row["missing_since"] is not None
    assert tiny.media_objects() == objects, "no object is deleted"
    cells = [n for n in row if n.split("__")[0] in COLUMNS]
    assert {n: row[n] for n in cells} == {n: before["03.png"][n] for n in cells}
    assert row["phash"] is not None
    assert (later.cells.computed, later.cells.cached) == (0, 0)
    # The home holds it, so it is still a sample; `where: source_state = 'present'` takes it out.
    assert [e.samples for e in later.exports] == [12]

    still = run_pipeline(tiny.spec)
    assert still.status == "unchanged"
    assert tiny.media_rows()["03.png"]["missing_since"] == row["missing_since"]

    tiny.write("03.png", picture(3))
    back = run_pipeline(tiny.spec)
    assert (back.transfer.sent, back.transfer.bytes) == (0, 0)
    assert (back.cells.computed, back.cells.cached) == (0, 0)
    row = tiny.media_rows()["03.png"]
    assert (row["source_state"], row["missing_since"]) == ("present", None)


def test_after_a_rollback_the_next_run_brings_the_rows_back_without_sending(
    tiny: TinySource,
) -> None:
    tiny.write("added.png", picture(100))
    tiny.write("03.png", picture(101))
    second = run_pipeline(tiny.spec)
    rows, objects = tiny.media_rows(), tiny.media_objects()
    tiny.home.versions.rollback("v1")
    assert "added.png" not in tiny.media_rows()
    third = run_pipeline(tiny.spec)
    assert (third.status, third.exit_code) == ("completed", 0)
    assert (third.transfer.planned, third.transfer.sent, third.transfer.bytes) == (MEDIA + 1, 0, 0)
    assert (third.cells.computed, third.cells.cached) == (0, 2 * len(COLUMNS))
    back = tiny.media_rows()
    assert back.keys() == rows.keys()
    assert {n: r["row_fp"] for n, r in back.items()} == {n: r["row_fp"] for n, r in rows.items()}
    assert tiny.media_objects() == objects
    roots = [tiny.home.versions.resolve(str(r.commit)).metadata["root"] for r in (second, third)]
    assert roots[0] == roots[1]
    # The rolled back state has no tag of its own; the run after it has the next one.
    assert third.tag == "v3"
    assert run_pipeline(tiny.spec).status == "unchanged"


def test_a_run_after_a_rollback_that_changes_nothing_leaves_the_tag(tiny: TinySource) -> None:
    (tiny.media / "03.png").unlink()
    run_pipeline(tiny.spec)
    tiny.write("03.png", picture(3))
    tiny.home.versions.rollback("v1")
    log = list(tiny.home.versions.log())
    later = run_pipeline(tiny.spec)
    assert later.transfer.bytes == 0
    assert (later.cells.computed, later.cells.cached) == (0, 0)
    assert {r["source_state"] for r in tiny.media_rows().values()} == {"present"}
    assert len(list(tiny.home.versions.log())) <= len(log) + 1


def test_a_refused_gate_leaves_main_and_the_next_run_sends_nothing(tiny: TinySource) -> None:
    head = tiny.home.versions.head()
    tiny.write("bad.jpg", b"\xff\xd8\xff\xe0 no picture")
    tiny.write("added.png", picture(100))
    tiny.write_spec(gate={"unreadable": 0.1})
    refused = run_pipeline(tiny.spec)
    assert (refused.status, refused.exit_code, refused.commit) == ("refused", 1, None)
    assert tiny.home.versions.head() == head
    assert refused.transfer.sent == 2
    tiny.write_spec(gate={"unreadable": 0.5})
    later = run_pipeline(tiny.spec)
    assert (later.status, later.exit_code) == ("completed", 3)
    assert (later.transfer.sent, later.transfer.bytes) == (0, 0)
    assert (later.cells.computed, later.cells.cached) == (0, len(COLUMNS))
    assert tiny.media_rows().keys() >= {"bad.jpg", "added.png"}
