"""The demo as a user runs it: a process of its own, with its own Prefect server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Demo:
    """One finished demo.

    Attributes:
        stdout, stderr: what the user saw.
        seconds: wall clock, the Prefect server's start included.
    """

    home: Path
    exit_code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def summary(self) -> dict[str, Any]:
        """``summary.json`` of the newest run."""
        newest = max((self.home / "runs").glob("*/summary.json"))
        found: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
        return found


def run(
    home: Path,
    *,
    before: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 900,
) -> Demo:
    """Run ``python -m flows demo --out home``; it must end with 0 or 3.

    Args:
        before: words in front of the command, such as ``unshare``.
        environment: variables to add.
    """
    started = time.monotonic()
    done = subprocess.run(
        [*before, sys.executable, "-m", "flows", "demo", "--out", str(home)],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    seconds = time.monotonic() - started
    assert done.returncode in (0, 3), (
        f"the demo ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    )
    return Demo(home, done.returncode, done.stdout, done.stderr, seconds)
