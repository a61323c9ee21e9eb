"""What may import what, and that importing the library stays cheap."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SLOW = ["prefect", "torch", "open_clip", "rapidocr", "onnxruntime", "lance"]
UNWANTED = [*SLOW, "av", "pypdfium2", "boto3", "pygit2", "duckdb", "tasks", "flows", "blocks"]


def test_importing_trainset_imports_no_prefect_no_torch_and_no_vendor_sdk() -> None:
    program = f"import sys, trainset; print(*[m for m in {UNWANTED} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    "start",
    [
        "import runpy; runpy.run_module('flows', run_name='__main__', alter_sys=True)",
        "import trainset.cli; trainset.cli.main()",
    ],
    ids=["python -m flows", "trainset"],
)
def test_help_is_there_without_models_and_prefect(start: str) -> None:
    program = f"""
import sys
sys.argv = ["x", "--help"]
try:
    {start}
except SystemExit:
    pass
print("LOADED", *[m for m in {SLOW} if m in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "usage: " in done.stdout
    assert done.stdout.splitlines()[-1] == "LOADED"


def test_import_contracts_hold() -> None:
    # In a process of its own: import-linter switches off all loggers that it finds.
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_file_pins_what_pyproject_asks_for_and_names_no_host() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += extra
    lock = (ROOT / "requirements" / "lock.txt").read_text()
    pins: dict[str, str] = {}
    for line in lock.splitlines():
        name, equals, rest = line.partition("==")
        if equals and not line.startswith((" ", "#")):
            pins[canonicalize_name(name)] = rest.split()[0]
    for text in wanted:
        need = Requirement(text)
        pinned = pins.get(canonicalize_name(need.name))
        assert pinned, f"{need.name} is not in requirements/lock.txt; run: make lock"
        assert need.specifier.contains(pinned), f"{text} but pinned {pinned}; run: make lock"
    for file in ("lock.txt", "bootstrap.txt"):
        assert "://" not in (ROOT / "requirements" / file).read_text()
