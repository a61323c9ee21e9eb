"""Set-up names what a machine lacks with the command that installs it, and changes nothing then."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout with the set-up script only; its folder ``bin`` is all that is on the PATH."""
    (tmp_path / "deployments").mkdir()
    shutil.copy(ROOT / "deployments" / "setup.sh", tmp_path / "deployments")
    (tmp_path / "bin").mkdir()
    for name in ("sh", "dirname"):
        found = shutil.which(name)
        assert found
        (tmp_path / "bin" / name).symlink_to(found)
    return tmp_path


def _program(machine: Path, name: str, body: str) -> None:
    path = machine / "bin" / name
    path.write_text(f"#!{shutil.which('sh')}\n{body}\n")
    path.chmod(0o755)


def _set_up(machine: Path) -> str:
    done = subprocess.run(
        ["sh", "deployments/setup.sh"],
        cwd=machine,
        env={"PATH": str(machine / "bin")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert not (machine / ".venv").exists()
    return done.stderr


@pytest.mark.parametrize(
    ("installer", "said"),
    [
        ("apt-get", "run: sudo apt-get install -y python3-venv"),
        ("dnf", "run: sudo dnf install -y python3.12"),
        ("brew", "run: brew install python@3.12"),
    ],
)
def test_a_machine_without_python_is_told_how_to_get_it(
    machine: Path, installer: str, said: str
) -> None:
    _program(machine, installer, "exit 0")
    assert said in _set_up(machine)


def test_an_old_python_does_not_count(machine: Path) -> None:
    _program(machine, "python3", "exit 1")  # what the version check answers on 3.10
    assert "no Python 3.11 to 3.14 found" in _set_up(machine)


def test_a_python_without_its_venv_part_is_told_the_package(machine: Path) -> None:
    _program(machine, "apt-get", "exit 0")
    _program(
        machine,
        "python3",
        f'case "$2" in *ensurepip*) exit 1 ;; esac; exec {sys.executable} "$@"',
    )
    version = "{}.{}".format(*sys.version_info[:2])
    assert f"run: sudo apt-get install -y python{version}-venv" in _set_up(machine)


def _make(tmp_path: Path, exit_code: int, *words: str) -> subprocess.CompletedProcess[str]:
    stub = tmp_path / "python"
    stub.write_text(f'#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done\nexit {exit_code}\n')
    stub.chmod(0o755)
    return subprocess.run(
        [
            "make",
            "--no-print-directory",
            "-f",
            str(ROOT / "Makefile"),
            "-o",
            ".venv/.stamp",
            f"PY={stub}",
            *words,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(("exit_code", "made"), [(0, 0), (1, 2), (2, 2), (3, 0), (130, 2)])
def test_make_demo_succeeds_on_0_and_3_only(tmp_path: Path, exit_code: int, made: int) -> None:
    assert _make(tmp_path, exit_code, "demo").returncode == made


def test_make_demo_hands_its_variables_on_as_they_are(tmp_path: Path) -> None:
    given = ["SOURCE=my photos", "OUT=b2://b/x", "MODEL=a/b", "VERSIONS=lakefs", "DRY_RUN=1"]
    said = _make(tmp_path, 0, "demo", *given)
    words = ["-m", "flows", "demo", "--out", "b2://b/x", "--source", "my photos"]
    words += ["--model", "a/b", "--versions", "lakefs", "--dry-run"]
    assert said.stdout.splitlines() == [f"<{word}>" for word in words]
