"""What a command used, as the kernel counts it: wall clock, CPU seconds, peak memory.

As a script, the launcher between: a child's peak would else begin with the memory of the benchmark.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    wall_s: float
    cpu_s: float  # user and system, of the process and of its children
    rss_mb: float  # peak, of the largest process


def measured(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end. Raises SystemExit with what it said when it fails."""
    with tempfile.NamedTemporaryFile(prefix="usage-") as found:
        done = subprocess.run(
            [sys.executable, "-S", "-E", __file__, found.name, *command],
            # Programs run as installed, with their compiled modules.
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            said = done.stderr[-2000:]
            raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{said}")
        return Usage(*json.loads(Path(found.name).read_text()))


def _launch(found: str, *command: str) -> int:
    began = time.monotonic()
    code = subprocess.run(command).returncode
    wall = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    numbers = (wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
    Path(found).write_text(json.dumps(numbers))
    return code


if __name__ == "__main__":
    sys.exit(_launch(*sys.argv[1:]))
