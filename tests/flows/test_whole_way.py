"""The flows themselves, against a Prefect server: they do what ``trainset.run.local`` does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from services.tiny_source import CELLS, COLUMNS, MEDIA, TinySource, make_tiny_source, picture

from trainset.errors import TrainsetError
from trainset.model import RunSummary
from trainset.run.local import run_pipeline
from trainset.run.summary import read_text

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    return make_tiny_source(tmp_path)


def run(command: str, spec: Path, **parameters: Any) -> RunSummary:
    """Run one flow in this process; gives its summary."""
    from flows.adhoc import _flow

    summary = _flow(command)(str(spec), **parameters, return_state=True).result()
    assert isinstance(summary, RunSummary)
    return summary


def stored(source: TinySource, summary: RunSummary) -> dict[str, Any]:
    text = (Path(source.spec.home) / "runs" / summary.run_id / "summary.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_pipeline_and_its_stages_one_by_one_make_the_same_dataset(
    tiny: TinySource, prefect_server: str
) -> None:
    tiny.write_spec(home="whole")
    whole = run("pipeline", tiny.spec_file)
    assert (whole.status, whole.exit_code, whole.tag) == ("completed", 3, "v1")
    assert (whole.transfer.sent, whole.cells.computed) == (MEDIA, CELLS)
    assert stored(tiny, whole) == whole.model_dump(mode="json")
    assert "v1" in read_text(tiny.spec, whole)
    root = tiny.root_hash()
    second = run("pipeline", tiny.spec_file)
    assert (second.status, second.exit_code) == ("unchanged", 0)
    assert (second.transfer.bytes, second.cells.computed) == (0, 0)

    tiny.write_spec(home="stages")
    media = run("transfer-media", tiny.spec_file)
    assert (media.transfer, media.tag) == (whole.transfer, "v1")
    labels = run("sync-metadata", tiny.spec_file)
    assert (labels.metadata, labels.transfer.planned) == (whole.metadata, 0)
    cells = run("compute-columns", tiny.spec_file)
    assert cells.cells == whole.cells
    assert run("build-tables", tiny.spec_file).status == "unchanged"
    exported = run("export-dataset", tiny.spec_file, ref=str(cells.tag))
    assert [e.sha256 for e in exported.exports] == [e.sha256 for e in whole.exports]
    assert tiny.root_hash() == root
    left_out = [i for s in (media, labels, cells) for i in s.left_out]
    assert {i.identity for i in left_out} == {i.identity for i in whole.left_out}
    assert len(left_out) == len(whole.left_out), "each is news once"


def test_the_flow_and_the_library_alone_make_the_same_dataset(
    tiny: TinySource, prefect_server: str
) -> None:
    tiny.write_spec(home="flow")
    by_flow = run("pipeline", tiny.spec_file)
    root = tiny.root_hash()
    tiny.write_spec(home="library")
    by_library = run_pipeline(tiny.spec)
    assert tiny.root_hash() == root
    known = {"run_id", "commit"}
    assert by_flow.model_dump(exclude=known) == by_library.model_dump(exclude=known)


def test_a_refused_gate_fails_the_flow_and_the_command(
    tiny: TinySource,
    prefect_server: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from flows.__main__ import main
    from flows.pipeline import pipeline

    tiny.write_spec(gate={"unreadable": 0.0})
    state = pipeline(str(tiny.spec_file), return_state=True)
    assert state.is_failed()
    assert "cannot be read" in str(state.message)
    assert tiny.home.versions.head() is None
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    assert main(["pipeline", str(tiny.spec_file)]) == 1
    said = capsys.readouterr()
    assert "cannot be read" in said.out + said.err
    tiny.write_spec(gate={})
    assert main(["pipeline", str(tiny.spec_file)]) == 3
    assert main(["pipeline", str(tiny.spec_file)]) == 0


def test_a_run_that_breaks_leaves_a_summary_and_its_branch(
    tiny: TinySource, prefect_server: str
) -> None:
    from flows.pipeline import pipeline

    tiny.write_spec(columns={**COLUMNS, "odd": {"op": "phash", "where": "no_such_column > 1"}})
    state = pipeline(str(tiny.spec_file), return_state=True)
    assert state.is_failed()
    with pytest.raises(TrainsetError, match="no_such_column"):
        state.result()
    [summary] = (Path(tiny.spec.home) / "runs").glob("*/summary.json")
    assert json.loads(summary.read_text())["status"] == "failed"
    assert "no_such_column" in json.loads(summary.read_text())["error"]
    assert tiny.home.versions.head() is None
    assert len(tiny.home.versions.runs()) == 1
    tiny.write_spec(columns=COLUMNS)
    after = run("pipeline", tiny.spec_file)
    assert (after.status, after.transfer.bytes) == ("completed", 0)


def test_the_command_killed_from_outside_is_taken_up_by_the_same_command(
    tiny: TinySource, prefect_server: str
) -> None:
    for number in range(200, 230):
        tiny.write(f"{number}.png", picture(number) + b"\0" * 2_000_000)
    command = [sys.executable, "-m", "flows", "pipeline", str(tiny.spec_file)]
    environment = {**os.environ, "PREFECT_API_URL": prefect_server}
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while child.poll() is None and len(tiny.media_objects()) < 8 and time.monotonic() < deadline:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    landed = tiny.media_objects()
    assert len(landed) >= 8
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 3, done.stderr
    assert len(tiny.media_rows()) == MEDIA + 30
    after = tiny.media_objects()
    assert {name: after[name] for name in landed} == landed, "what had landed was not put again"
    [summary] = (Path(tiny.spec.home) / "runs").glob("*/summary.json")
    told = json.loads(summary.read_text())
    assert told["transfer"]["planned"] == MEDIA + 30
    assert told["transfer"]["sent"] == MEDIA + 30 - len(landed)
