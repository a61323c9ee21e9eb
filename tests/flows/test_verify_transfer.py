"""``python -m flows verify-transfer``: a report, verify.json, and an exit status that tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from services.tiny_source import MEDIA, TinySource, make_tiny_source

from flows import adhoc
from flows.__main__ import main, parser
from trainset.run import local
from trainset.transfer.provenance import verify_events


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinySource:
    source = make_tiny_source(tmp_path_factory.mktemp("tiny"))
    source.write_spec(exports={}, columns={})
    local.run_pipeline(source.spec)
    return source


@pytest.fixture
def here(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's Prefect server instead of one for the command."""
    from contextlib import nullcontext

    monkeypatch.setattr(adhoc, "managed_server", nullcontext)


def _page(tiny: TinySource) -> dict[str, Any]:
    newest = max(
        (tiny.root / "home" / "runs").glob("*/verify.json"), key=lambda p: p.stat().st_mtime_ns
    )
    page: dict[str, Any] = json.loads(newest.read_text())
    return page


@pytest.mark.usefixtures("here")
def test_a_whole_home_is_clean_and_a_broken_one_ends_with_1(
    tiny: TinySource, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = str(tiny.root / "dataset.yaml")
    assert main(["verify-transfer", spec, "--level", "L4"]) == 0
    said = capsys.readouterr().out
    assert f"{MEDIA} L4 clean, 0 faulty" in said
    page = _page(tiny)
    assert (page["ok"], page["checked"], page["ref"]) == (True, MEDIA, "main")
    assert "these are all" in page["statement"]

    row = tiny.media_rows()["03.png"]
    place = Path(tiny.home.url) / row["uri"]
    data = place.read_bytes()
    place.chmod(0o644)
    place.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    try:
        assert main(["verify-transfer", spec, "--level", "L2"]) == 0, "the size is right"
        capsys.readouterr()
        assert main(["verify-transfer", spec, "--level", "L3"]) == 1
        said = capsys.readouterr().out
        assert f"{row['key']}: checksum-mismatch: the store holds sha256" in said
        assert "-> delete the object" in said
        page = _page(tiny)
        assert [f["kind"] for f in page["faults"]] == ["checksum-mismatch"]
        story = [h for h in tiny.open().trace(row["key"]).story if h.run_id == page["run_id"]]
        (told,) = story
        assert page["run_id"].endswith(told.facts["flow_run_id"][:8])
        assert told.facts["task_run_id"]
        assert (told.type, told.facts["relationship"]) == ("VERIFY", "failure")
        assert "checksum-mismatch" in told.text
        folder = Path(tiny.home.url) / "runs" / page["run_id"] / "provenance"
        parts = sorted(folder.glob("*.parquet"))
        assert verify_events(parts, page["run_id"]) == page["provenance"]
        assert sum(pq.read_metadata(part).num_rows for part in parts) == MEDIA
    finally:
        place.write_bytes(data)


def test_a_dry_run_needs_no_server_and_leaves_nothing(
    tiny: TinySource, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adhoc, "managed_server", None)
    runs = sorted((tiny.root / "home" / "runs").iterdir())
    spec = str(tiny.root / "dataset.yaml")
    assert main(["verify-transfer", spec, "--dry-run", "--sample", "50%"]) == 0
    said = capsys.readouterr().out
    assert f"{MEDIA} files in {MEDIA} objects" in said
    assert "L3  0 List calls, 7 objects read back" in said
    assert "0.5 of the objects are drawn" in said
    assert sorted((tiny.root / "home" / "runs").iterdir()) == runs


@pytest.mark.usefixtures("here")
def test_a_ref_that_is_not_there_is_named(
    tiny: TinySource, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = str(tiny.root / "dataset.yaml")
    assert main(["verify-transfer", spec, "--ref", "nowhere"]) == 1
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.5", 0.5), ("100%", 1.0)])
def test_a_sample_is_a_share(text: str, share: float) -> None:
    assert parser().parse_args(["verify-transfer", "x", "--sample", text]).sample == share


def test_a_sample_above_all_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["verify-transfer", "x", "--sample", "101%"])
    assert "0% to 100%" in capsys.readouterr().err
