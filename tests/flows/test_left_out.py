"""What does not make it is listed: once as new, then as known, until it is mended."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from services.tiny_source import BROKEN, CELLS, MEDIA, TinySource, make_tiny_source, picture

from trainset.model import RunSummary
from trainset.run.left_out import PATH
from trainset.run.local import run_pipeline

ORPHAN = ("boxes/boxes.json#12", "metadata", "orphan-record")
UNREADABLE = (f"cam/{BROKEN}", "transfer", "unreadable")


def items(summary: RunSummary) -> set[tuple[str, str, str]]:
    return {item.identity for item in summary.left_out}


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    return make_tiny_source(tmp_path)


def test_what_was_left_out_is_new_once_and_known_until_it_is_mended(tiny: TinySource) -> None:
    first = run_pipeline(tiny.spec)
    assert items(first) == {ORPHAN, UNREADABLE}
    assert all(item.reason for item in first.left_out)
    assert (first.exit_code, first.known_left_out) == (3, 0)
    assert first.transfer.balances
    assert first.metadata.rows == 15
    assert first.metadata.orphan_records == 1

    second = run_pipeline(tiny.spec)
    assert (second.left_out, second.known_left_out, second.exit_code) == ((), 2, 0)

    tiny.write(BROKEN, picture(50))
    mended = run_pipeline(tiny.spec)
    assert (mended.left_out, mended.known_left_out, mended.exit_code) == ((), 1, 0)
    assert mended.transfer.balances
    assert (mended.transfer.sent, mended.cells.computed) == (1, CELLS // 12)
    assert tiny.media_rows()[BROKEN]["unreadable"] is None

    tiny.write("nowhere.png", picture(51))
    matched = run_pipeline(tiny.spec)
    assert (matched.left_out, matched.known_left_out) == ((), 0)
    assert matched.metadata.orphan_records == 0
    assert (matched.status, run_pipeline(tiny.spec).status) == ("completed", "unchanged")


def test_a_broken_file_that_comes_back_is_new_again(tiny: TinySource) -> None:
    run_pipeline(tiny.spec)
    broken = (tiny.media / BROKEN).read_bytes()
    tiny.write(BROKEN, picture(50))
    run_pipeline(tiny.spec)
    tiny.write(BROKEN, broken)
    again = run_pipeline(tiny.spec)
    assert items(again) == {UNREADABLE}
    assert again.exit_code == 3


def test_a_file_that_cannot_be_read_is_failed_and_listed_until_it_can(tiny: TinySource) -> None:
    loop = tiny.media / "loop.png"
    loop.symlink_to("loop.png")  # nobody can read it, not even root
    first = run_pipeline(tiny.spec)
    assert (first.transfer.planned, first.transfer.failed) == (MEDIA + 1, 1)
    assert first.transfer.balances
    [item] = [item for item in first.left_out if item.key == "cam/loop.png"]
    assert item.stage == "transfer"
    assert "loop.png" in item.reason
    assert first.exit_code == 3
    assert "loop.png" not in tiny.media_rows()

    second = run_pipeline(tiny.spec)
    assert (second.transfer.failed, second.transfer.skipped) == (1, MEDIA)
    assert second.transfer.balances
    assert (second.status, second.left_out, second.known_left_out) == ("unchanged", (), 3)
    assert second.exit_code == 0

    loop.unlink()
    third = run_pipeline(tiny.spec)
    assert (third.left_out, third.known_left_out, third.exit_code) == ((), 2, 0)


def test_a_young_file_waits_and_is_taken_later(tiny: TinySource) -> None:
    tiny.write_spec(media=[{"name": "cam", "from": "media", "min_age": "1h"}])
    old = [f"{n:02d}.png" for n in range(6)]
    age_by_two_hours(tiny, old)
    first = run_pipeline(tiny.spec)
    assert (first.transfer.sent, first.transfer.deferred) == (6, MEDIA - 6)
    assert first.transfer.balances
    assert len([i for i in first.left_out if i.kind == "too-young"]) == MEDIA - 6
    age_by_two_hours(tiny, [p.name for p in tiny.media.iterdir() if p.name not in old])
    second = run_pipeline(tiny.spec)
    assert (second.transfer.sent, second.transfer.deferred) == (MEDIA - 6, 0)
    assert second.transfer.balances
    assert items(second) == {UNREADABLE}
    assert second.known_left_out == 1  # the orphan


def age_by_two_hours(tiny: TinySource, names: list[str]) -> None:
    for name in names:
        path = tiny.media / name
        then = path.stat().st_mtime_ns - 2 * 3600 * 10**9
        os.utime(path, ns=(then, then))


def test_a_sample_that_an_export_cannot_hold_is_new_once(tiny: TinySource) -> None:
    tiny.write_spec(exports={"shards": {"format": "webdataset", "fields": {"png": "media"}}})
    first = run_pipeline(tiny.spec)
    sound = ("cam/tone.wav", "export", "wrong-field")
    assert sound in items(first)
    tiny.write("added.png", picture(100))
    second = run_pipeline(tiny.spec)
    assert second.exports[0].samples == 13
    assert (second.left_out, second.known_left_out, second.exit_code) == ((), 3, 0)


def test_a_broken_label_file_is_listed_and_its_last_good_rows_stay(tiny: TinySource) -> None:
    run_pipeline(tiny.spec)
    boxes = tiny.root / "labels" / "boxes.json"
    good = boxes.read_text(encoding="utf-8")
    boxes.write_text(good[: len(good) // 2], encoding="utf-8")
    later = run_pipeline(tiny.spec)
    assert later.exit_code == 3
    [item] = later.left_out
    assert item.stage == "metadata"
    assert later.metadata.rows == 15
    assert run_pipeline(tiny.spec).exit_code == 0
    boxes.write_text(good, encoding="utf-8")
    mended = run_pipeline(tiny.spec)
    assert (mended.left_out, mended.known_left_out, mended.metadata.rows) == ((), 2, 15)


def test_the_list_of_a_commit_is_kept_in_it(tiny: TinySource) -> None:
    first = run_pipeline(tiny.spec)
    kept = json.loads(tiny.home.versions.snapshot("v1").read(PATH))
    assert kept == [item.model_dump() for item in first.left_out]
