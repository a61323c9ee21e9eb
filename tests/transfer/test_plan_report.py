"""``plan-transfer``: what a transfer would move and cost, said without opening a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from transfer_bench import ordinary_user

from flows.__main__ import main
from trainset.run.estimate import estimate_run
from trainset.run.local import run_pipeline
from trainset.run.plan_report import PlanReport, plan_report
from trainset.run.plan_text import plan_markdown, plan_text
from trainset.spec import DatasetSpec, load_spec

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
ROUTES = [
    {"name": "notes", "mime": "text/*", "skip": "no media"},
    {"name": "film", "path": "**/*.mp4", "to": "b2://video/raw", "protect": {"lock_days": 30}},
    {"name": "wide", "where": "width > 640", "prefix": "wide"},
    {"name": "cold", "path": "**/*.wav", "to": "archive"},
]


def spec_of(folder: Path, *, home: str = "home", **fields: Any) -> DatasetSpec:
    fields = {"name": "streets", "home": home, "media": [{"name": "cam", "from": "media"}]} | fields
    (folder / "dataset.yaml").write_text(json.dumps(fields))
    return load_spec(folder / "dataset.yaml")


def write(folder: Path, name: str, size: int, *, at: float = LONG_AGO) -> Path:
    """A file of ``size`` bytes that takes no disk."""
    path = folder / "media" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.truncate(path, size)
    os.utime(path, (at, at))
    return path


def routed(folder: Path) -> DatasetSpec:
    write(folder, "notes.txt", 10)
    write(folder, "a.mp4", 10**10)
    write(folder, "b/b.jpg", 2_000)
    write(folder, "c.wav", 300)
    write(folder, "d.pdf", 40)
    return spec_of(folder, transfer={"unmatched": "fail", "routes": ROUTES})


def by_rule(report: PlanReport) -> dict[tuple[str, str], tuple[int, int]]:
    return {(r.name, r.action): (r.files, r.bytes) for r in report.rules}


def balances(report: PlanReport) -> bool:
    return all(
        line.listed.files
        == sum(
            c.files for c in (line.there, line.moving, line.too_young, line.skipped, line.refused)
        )
        for line in (*report.sources, report)
    )


def test_every_rule_says_what_it_would_take(tmp_path: Path) -> None:
    report = plan_report(routed(tmp_path), now=NOW)
    assert by_rule(report) == {
        ("notes", "skip"): (1, 10),
        ("film", "take"): (1, 10**10),
        ("wide", "take"): (0, 0),
        ("wide", "read"): (
            3,
            2_340,
        ),  # a picture, a sound and a document: their width is not known yet
        ("cold", "take"): (0, 0),
    }
    assert (report.moving.files, report.skipped.files, report.refused.files) == (4, 1, 0)
    assert balances(report)


def test_no_file_is_opened_and_nothing_is_made() -> None:
    with ordinary_user() as folder:
        spec = routed(folder)
        for path in (folder / "media").rglob("*.*"):
            path.chmod(0)
        with pytest.raises(PermissionError):
            (folder / "media" / "a.mp4").open("rb")
        before = sorted(folder.rglob("*"))
        report = plan_report(spec, now=NOW)
        assert (report.listed.files, report.unlisted) == (5, ())
        assert sorted(folder.rglob("*")) == before


def test_folders_that_may_not_be_listed_are_named() -> None:
    with ordinary_user() as folder:
        spec = spec_of(folder)
        write(folder, "a.jpg", 5)
        write(folder, "shut/b.jpg", 5).parent.chmod(0)
        report = plan_report(spec, now=NOW)
        assert [one.prefix for one in report.unlisted] == ["cam/shut/"]
        assert "may not be read" in plan_text(report)
        (folder / "media" / "shut").chmod(0o700)


def test_what_can_be_no_file_is_named(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    write(tmp_path, "a.jpg", 5)
    os.mkfifo(tmp_path / "media" / "pipe.jpg")
    report = plan_report(spec, now=NOW)
    assert (report.listed.files, report.unusable) == (1, 1)
    assert report.unusable_shown[0].key == "cam/pipe.jpg"
    assert "cam/pipe.jpg" in plan_text(report)
    assert "1 entry left out: special-file" in estimate_run(spec).text()


def test_a_plan_against_a_commit_tells_what_changed(tmp_path: Path) -> None:
    for name in ("same.txt", "grows.txt", "goes.txt"):
        write(tmp_path, name, 5)
    spec = spec_of(tmp_path, media=[{"name": "cam", "from": "media", "min_age": "1h"}])
    commit = run_pipeline(spec, run_id="one").commit
    write(tmp_path, "grows.txt", 50)
    write(tmp_path, "young.txt", 7, at=NOW.timestamp() - 60)
    (tmp_path / "media" / "goes.txt").unlink()
    report = plan_report(spec, now=NOW)
    assert report.commit == commit
    assert (report.there.files, report.moving.files, report.too_young.files) == (1, 1, 1)
    assert (report.moving.bytes, report.missing, report.still_missing) == (50, 1, 0)
    assert balances(report)
    assert run_pipeline(spec, run_id="two").transfer.planned == 3
    again = plan_report(spec, now=NOW)
    assert (again.missing, again.still_missing) == (0, 1)
    write(tmp_path, "goes.txt", 5)
    assert plan_report(spec, now=NOW).returned == 1


def test_the_cost_is_that_of_the_files_that_move(tmp_path: Path) -> None:
    report = plan_report(routed(tmp_path), now=NOW, bandwidth="800Mbit/s", verify="L2")
    # The film is 96 parts of 100 MiB, Create and Complete; the others are one PUT each.
    assert (report.cost.requests.A, report.cost.requests.B, report.cost.requests.C) == (101, 1, 1)
    assert report.cost.bandwidth_s == pytest.approx((10**10 + 2_340) / 10**8)
    assert float(report.cost.locked) == pytest.approx(6.95 / 100)  # 10 GB for one month
    assert report.home_is_folder


def test_files_that_a_rule_sends_to_a_folder_cost_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a.wav", 500 * 10**9)
    report = plan_report(
        spec_of(tmp_path, transfer={"unmatched": "home", "routes": ROUTES[3:]}), now=NOW
    )
    assert (report.elsewhere.files, report.cost.requests.A, report.cost.storage_month) == (1, 0, 0)
    assert report.rules[0].to == str(tmp_path / "archive")


def test_a_plan_reads_as_a_table_and_as_markdown(tmp_path: Path) -> None:
    report = plan_report(routed(tmp_path), now=NOW, bandwidth="800Mbit/s")
    text, page = plan_text(report), plan_markdown(report)
    for words in ("film", "b2://video/raw", "asks for a look inside", "2026-09-07", "bandwidth"):
        assert words in text
        assert words in page
    assert "1 min 40 s" in text


def test_the_command_prints_json_alone_and_starts_no_server(tmp_path: Path) -> None:
    routed(tmp_path)
    program = """
import runpy, sys
try:
    runpy.run_module("flows", run_name="__main__", alter_sys=True)
finally:
    found = [m for m in ("prefect", "torch", "boto3") if m in sys.modules]
    print("LOADED", *found, file=sys.stderr)
"""
    words = ["plan-transfer", str(tmp_path / "dataset.yaml"), "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert PlanReport.model_validate_json(done.stdout).listed.files == 5
    assert done.stderr.splitlines()[-1] == "LOADED"


def test_the_command_prices_by_another_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    routed(tmp_path)
    words = ["plan-transfer", str(tmp_path / "dataset.yaml")]
    assert main([*words, "--rates", "backblaze-2025", "--bandwidth", "1Gbit/s"]) == 0
    assert "2025-06-30" in capsys.readouterr().out
    assert main([*words, "--bandwidth", "fast"]) == 1
    assert "'fast' is no rate" in capsys.readouterr().err
    assert main([*words, "--rates", "nowhere.yaml"]) == 1
    assert "no such file" in capsys.readouterr().err


def test_a_dry_run_says_what_each_rule_takes_and_what_reaches_the_home(tmp_path: Path) -> None:
    text = estimate_run(routed(tmp_path)).text()
    assert "notes: skips 1 file (10 B)" in text
    assert "film: takes 1 file (9.3 GiB), to b2://video/raw" in text
    assert "wide: asks for a look inside 3 files (2.3 KiB)" in text
    assert "Disk: 2.3 KiB" in text  # the film goes elsewhere


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared media are not on this machine")
def test_a_plan_of_the_shared_media_counts_each_file(tmp_path: Path) -> None:
    source = {"name": "shared", "from": str(SHARED), "include": ["**/*.jpg", "**/*.pdf"]}
    report = plan_report(spec_of(tmp_path, media=[source]), now=datetime.now(UTC))
    files = [p for ending in ("jpg", "pdf") for p in SHARED.rglob(f"*.{ending}")]
    assert report.moving.files == len(files) > 0
    assert report.moving.bytes == sum(path.stat().st_size for path in files)
