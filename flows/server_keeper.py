"""Keeps one Prefect server alive for as long as someone uses it; a process of its own.

Runs of several processes share the server. Each holds a shared lock on ``users.lock``, which the
kernel drops when its process ends, kill -9 included. When nobody holds it any more, and the server
has written down what it heard, the keeper stops the server and ends. Standard library only: it
starts at once and imports no Prefect.

Usage: python -P server_keeper.py PREFECT_HOME PORT
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import IO

GRACE_S = 10.0  # unused for this long before the server is stopped: the next run often follows
DRAIN_S = 30.0  # at most this long for the recorder to write what it heard
STOP_S = 10.0  # from SIGTERM to SIGKILL


def healthy(url: str, timeout_s: float = 2.0) -> bool:
    """Whether a Prefect API answers at ``url``."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=timeout_s) as reply:
            return bool(reply.status == 200)
    except OSError:  # URLError is one, as are resets and time-outs
        return False


def lock(file: IO[str], kind: int, *, wait: bool = True) -> bool:
    """Take a ``fcntl`` lock on an open file; False when another process holds it."""
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def keep(home: Path, port: int) -> int:
    """Run the server until nobody uses it; returns the process's exit status."""
    url = f"http://127.0.0.1:{port}/api"
    with (home / "server.json").open("a+") as card, (home / "users.lock").open("a+") as users:
        if not lock(card, fcntl.LOCK_EX, wait=False):
            return 0  # another keeper serves this home
        card.truncate(0)
        command = [sys.executable, "-m", "prefect", "server", "start"]
        server = subprocess.Popen(  # stdout is the log file already, by our starter
            [*command, "--host", "127.0.0.1", "--port", str(port)], stdin=subprocess.DEVNULL
        )
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        card.write(json.dumps({"url": url, "keeper": os.getpid(), "server": server.pid}))
        card.flush()
        try:
            _wait_until_unused(server, users, url)
        finally:
            status = _stop(server)
            card.truncate(0)
    return status


def _wait_until_unused(server: subprocess.Popen[bytes], users: IO[str], url: str) -> None:
    """Return when the server died, or with ``users`` locked when nobody needs it any more."""
    unused_since: float | None = None
    while server.poll() is None:
        time.sleep(0.5)
        if not lock(users, fcntl.LOCK_EX, wait=False):
            unused_since = None
            continue
        fcntl.flock(users, fcntl.LOCK_UN)
        unused_since = unused_since or time.monotonic()
        if time.monotonic() - unused_since < GRACE_S or not _drained(url):
            continue
        if lock(users, fcntl.LOCK_EX, wait=False):
            return  # held until this process ends: a new run waits, then starts its own server


def _drained(url: str) -> bool:
    """Wait until the number of recorded task runs stands still, within DRAIN_S."""
    deadline, before = time.monotonic() + DRAIN_S, -1
    while time.monotonic() < deadline:
        try:
            request = urllib.request.Request(
                f"{url}/task_runs/count", b"{}", {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=5) as reply:
                now = int(reply.read())
        except OSError:
            return True  # it answers no more: nothing to wait for
        if now == before:
            return True
        before = now
        time.sleep(2.0)  # the recorder writes once a second
    return True


def _stop(server: subprocess.Popen[bytes]) -> int:
    server.terminate()
    try:
        return server.wait(STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        return server.wait()


if __name__ == "__main__":
    sys.exit(keep(Path(sys.argv[1]), int(sys.argv[2])))
