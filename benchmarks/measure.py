"""What all benchmarks share: measuring a piece of work in a process of its own, and the JSON face.

The face, ``{name: {"value": …, "unit": …, "ratio_to": {peer: ours over the peer's}}}``, is stable:
scripts read it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """One piece of work: what it returned, and what it cost."""

    value: Any
    wall_s: float
    cpu_s: float  # user and system, of the process and its children
    peak_mb: float  # most memory held at once (RSS), imports too; MB = 10^6 bytes


class Results:
    """Numbers by name, in the order they came."""

    def __init__(self) -> None:
        self._all: dict[str, dict[str, Any]] = {}

    def add(
        self, name: str, value: float, unit: str, *, peers: Mapping[str, float] | None = None
    ) -> None:
        """Note one number.

        Args:
            peers: the same number of other tools, measured in this run.
        """
        ratios = {peer: round(value / theirs, 3) for peer, theirs in (peers or {}).items()}
        self._all[name] = {"value": float(f"{value:.4g}"), "unit": unit, "ratio_to": ratios}
        ratio = "".join(f"  {r:g}x {peer}" for peer, r in ratios.items())
        print(f"{name:<44} {value:>12,.4g} {unit}{ratio}", file=sys.stderr, flush=True)

    def print_json(self) -> None:
        print(json.dumps(self._all, indent=2))


def arguments(description: str) -> argparse.Namespace:
    """``quick`` and ``json`` of the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="less work; ends within 60 s")
    parser.add_argument("--json", action="store_true", help="the numbers as JSON on stdout")
    return parser.parse_args()


def in_child(work: str, *values: Any, environment: Mapping[str, str] | None = None) -> Measured:
    """Call ``<module>:<function>`` with ``values`` in a new process; both sides as JSON.

    So memory and CPU are those of this work alone. Modules beside this file can be named.
    """
    done = subprocess.run(
        [sys.executable, __file__, work, json.dumps(values)],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Measured(*json.loads(done.stdout.splitlines()[-1]))


def peak_mb() -> float:
    """Most memory that this process held at once."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held before the exec
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


def _main(work: str, values: Sequence[Any]) -> None:
    module, _, name = work.partition(":")
    function = getattr(importlib.import_module(module), name)
    began, used = time.perf_counter(), _cpu_s()
    value = function(*values)
    wall, cpu = time.perf_counter() - began, _cpu_s() - used
    print(json.dumps([value, wall, cpu, peak_mb()]))


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    _main(sys.argv[1], json.loads(sys.argv[2]))
