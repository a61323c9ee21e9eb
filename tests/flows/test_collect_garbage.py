"""``collect-garbage`` says what would go, and removes it when it is told to."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from services.small_home import SmallHome, make_small_home, picture

from flows.__main__ import main

LONG_AGO = 1_600_000_000  # seconds since 1970


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A home with a branch that was deleted, all of it old."""
    small = make_small_home(str(tmp_path / "home"))
    _dead_run(small)
    (tmp_path / "media").mkdir()
    path = tmp_path / "dataset.yaml"
    path.write_text("name: streets\nhome: home\nmedia: [{name: a, from: media}]\n")
    for file in (tmp_path / "home").rglob("*"):
        os.utime(file, (LONG_AGO, LONG_AGO))
    return path


def _dead_run(small: SmallHome) -> None:
    small.home.versions.create_branch("exp")
    data = picture(99)
    small.home.store.put(small.home.media_uri("ab" * 32), data)
    small.home.versions.delete_branch("exp")


def _media(spec: Path) -> set[str]:
    return {p.name for p in (spec.parent / "home" / "media").rglob("*") if p.is_file()}


def test_a_dry_run_says_what_would_go_and_removes_nothing(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = _media(spec)
    assert main(["collect-garbage", str(spec)]) == 0
    said = capsys.readouterr().out
    assert "would remove 1 medium (" in said
    assert "--apply removes it" in said
    assert main(["collect-garbage", str(spec), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [item["key"] for item in found["plan"]["remove"]] == [f"media/ab/{'ab' * 32}"]
    assert _media(spec) == there


def test_a_run_at_work_keeps_media(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locks = spec.parent / "home" / ".state" / "locks"
    locks.mkdir(exist_ok=True)
    with (locks / "run-1").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main(["collect-garbage", str(spec)]) == 0
    assert "stays while run-1 is at work: 1 medium" in capsys.readouterr().out


def test_the_flow_removes_it_and_repeats_to_nothing(spec: Path, prefect_server: str) -> None:
    from flows.collect_garbage import collect_garbage

    there = _media(spec)
    assert collect_garbage(str(spec)).done is None
    assert _media(spec) == there
    done = collect_garbage(str(spec), apply=True).done
    assert done is not None
    assert _media(spec) == there - {"ab" * 32}
    again = collect_garbage(str(spec), apply=True).done
    assert again is not None
    assert again.removed == ()
