"""What the spec's transfer section does in a whole run: routes, verification, dead letters."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from services.tiny_source import TinySource, make_tiny_source, picture

from trainset import open as open_dataset
from trainset.run.local import run_pipeline
from trainset.run.media_rows import write_rows
from trainset.spec import DatasetSpec


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    return make_tiny_source(tmp_path, pictures=4)


def with_transfer(tiny: TinySource, **transfer: Any) -> DatasetSpec:
    """The tiny spec without columns, labels and exports, with a transfer section."""
    data = tiny.spec.model_dump(by_alias=True, exclude_defaults=True)
    for name in ("columns", "metadata", "exports"):
        data.pop(name, None)
    return DatasetSpec.model_validate({**data, "transfer": transfer})


def test_rules_send_files_to_their_places_and_the_rows_say_where(
    tiny: TinySource, tmp_path: Path
) -> None:
    spec = with_transfer(
        tiny,
        routes=[
            {"name": "sound", "mime": "audio/*", "to": str(tmp_path / "archive")},
            {"name": "first", "path": "00.png", "skip": "seen before"},
            {"name": "wide", "where": "width >= 64 and modality = 'image'", "prefix": "pictures"},
        ],
        unmatched="home",
    )
    summary = run_pipeline(spec)
    assert summary.transfer.balances
    assert summary.transfer.skipped == 1  # by the rule; nothing was there before
    rows = open_dataset(spec.home).table("media").select(["key", "uri"]).to_arrow().to_pylist()
    uris = {row["key"]: row["uri"] for row in rows}
    assert "cam/00.png" not in uris
    assert uris["cam/01.png"].startswith("media/pictures/")
    assert uris["cam/tone.wav"].startswith(str(tmp_path / "archive" / "media"))
    assert Path(uris["cam/tone.wav"]).read_bytes() == (tiny.media / "tone.wav").read_bytes()
    dataset = open_dataset(spec.home)
    assert dataset.read_media(uris["cam/01.png"]) == (tiny.media / "01.png").read_bytes()
    again = run_pipeline(spec)
    assert (again.status, again.transfer.sent) == ("unchanged", 0)


def test_every_run_leaves_a_line_a_file(tiny: TinySource) -> None:
    spec = with_transfer(
        tiny, routes=[{"name": "no", "path": "00.png", "skip": "x"}], unmatched="home"
    )
    summary = run_pipeline(spec)
    report = Path(spec.home) / "runs" / summary.run_id / "transfer.parquet"
    rows = pq.read_table(report).to_pylist()
    assert len(rows) == summary.transfer.planned
    status = {row["key"]: row["status"] for row in rows}
    assert (status["cam/00.png"], status["cam/01.png"]) == ("skipped", "sent")


def test_a_rule_that_must_take_every_file_says_which_it_did_not(tiny: TinySource) -> None:
    spec = with_transfer(tiny, routes=[{"name": "png", "path": "*.png"}], unmatched="fail")
    summary = run_pipeline(spec)
    assert summary.transfer.failed == 2
    assert {item.kind for item in summary.left_out} == {"unmatched"}
    assert summary.exit_code == 3


def test_what_verification_cannot_find_is_no_row(
    tiny: TinySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = with_transfer(tiny, verify="L3")
    removed: list[Path] = []

    def after_a_disk_fault(*arguments: Any) -> Any:
        if not removed:
            removed.append(next(p for p in (Path(spec.home) / "media").rglob("*") if p.is_file()))
            removed[0].write_bytes(b"x" * removed[0].stat().st_size)
        return write_rows(*arguments)

    monkeypatch.setattr("trainset.run.local.write_rows", after_a_disk_fault)
    summary = run_pipeline(spec)
    assert summary.transfer.balances
    assert summary.transfer.failed == 1
    [item] = [item for item in summary.left_out if item.kind != "unreadable"]
    assert ";" in item.reason
    keys = set(open_dataset(spec.home).table("media").to_pandas()["key"])
    assert item.key not in keys


def test_a_dead_letter_is_tried_again_only_when_it_is_asked_for(tiny: TinySource) -> None:
    odd = tiny.media / "odd.png"
    odd.symlink_to("odd.png")
    spec = with_transfer(tiny)
    assert run_pipeline(spec).transfer.failed == 1
    stamp = os.lstat(odd)
    odd.unlink()
    odd.write_bytes(picture(70)[: stamp.st_size].ljust(stamp.st_size, b"\0"))
    os.utime(odd, ns=(stamp.st_mtime_ns, stamp.st_mtime_ns))  # the same version, mended
    assert run_pipeline(spec).transfer.failed == 1  # not tried
    assert run_pipeline(spec, retry_dead=True).transfer.failed == 0
    assert "cam/odd.png" in set(open_dataset(spec.home).table("media").to_pandas()["key"])


def test_a_lost_ledger_of_a_folder_costs_a_read_and_no_copy(tiny: TinySource) -> None:
    spec = with_transfer(tiny)
    run_pipeline(spec)
    shutil.rmtree(Path(spec.home) / ".state")
    again = run_pipeline(spec)
    assert (again.status, again.transfer.sent) == ("unchanged", 0)
