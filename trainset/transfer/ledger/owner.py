"""Who holds a claim: ``<host>:<pid>:<start of the process>:<batch>``, and whether it still lives.

The host part also names the boot and the pid namespace, so that containers and cloned machines of
one host name never judge each other's processes: those claims wait for their lease.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import uuid
from functools import lru_cache
from pathlib import Path

_UNKNOWN = "unknown"


def new_owner(batch: str) -> str:
    """The owner string of this process for one batch; ``batch`` is unique within the process."""
    return f"{_host()}:{_own_process(os.getpid())}:{batch}"


def owner_is_gone(owner: str) -> bool:
    """Whether the owner's process has ended; False where that cannot be known from here."""
    host, _, rest = owner.partition(":")
    pid, _, rest = rest.partition(":")
    started = rest.partition(":")[0]
    if host != _host() or not pid.isdecimal() or not started:
        return False
    return _started(int(pid)) not in (started, _UNKNOWN)


@lru_cache(maxsize=1)
def _own_process(pid: int) -> str:  # pid: a fork has another
    return f"{pid}:{_started(pid)}"


@lru_cache(maxsize=1)
def _host() -> str:
    try:
        place = Path("/proc/sys/kernel/random/boot_id").read_text()
        place += os.readlink("/proc/self/ns/pid")
    except OSError:  # no Linux: the network card's address tells machines apart
        place = str(uuid.getnode())
    token = hashlib.sha256(place.encode()).hexdigest()[:8]
    return f"{socket.gethostname().replace(':', '.')}.{token}"


def _started(pid: int) -> str | None:
    """When the process began, in the system's own words; None when it is gone.

    A pid is given again; together with its start it is unique within a boot.
    """
    if not Path("/proc/self/stat").exists():
        return _started_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None if _no_such(pid) else _UNKNOWN  # /proc may hide other users' processes
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name before may hold anything
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def _started_by_ps(pid: int) -> str | None:
    found = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
    )
    said = "-".join(found.stdout.replace(":", ".").split())
    return said or (None if _no_such(pid) else _UNKNOWN)


def _no_such(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
