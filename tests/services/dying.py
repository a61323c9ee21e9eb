"""A run that kills itself with SIGKILL after the n-th return of one function: a crash at a known
place. Nothing is replaced: the function does its work first.

As a script: ``dying.py <dataset.yaml> <module>:<name>[.<name>] <n>``
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

TIMEOUT_S = 120


def killed_after(spec: Path, function: str, n: int = 1) -> None:
    """Run the pipeline on ``spec`` in a process that dies after the n-th return of ``function``."""
    done = subprocess.run(
        [sys.executable, __file__, str(spec), function, str(n)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == -signal.SIGKILL, (
        f"{function} returned less than {n} times; the run ended with {done.returncode}:\n"
        f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )


def die_after(function: str, n: int) -> None:
    """Let this process be killed when ``function`` has returned ``n`` times."""
    module, _, path = function.partition(":")
    *owners, name = path.split(".")
    owner: Any = functools.reduce(getattr, owners, importlib.import_module(module))
    original, left = getattr(owner, name), [n]

    @functools.wraps(original)
    def counted(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counted)


if __name__ == "__main__":
    from trainset.run.local import run_pipeline
    from trainset.spec import load_spec

    die_after(sys.argv[2], int(sys.argv[3]))
    run_pipeline(load_spec(Path(sys.argv[1])))
