"""A real S3 server: one-node Ceph (monitor, one OSD in memory) with the RADOS Gateway, on loopback.

Cluster settings that matter, each learnt the hard way: without authentication radosgw must use
``crc`` connections (its default, secure, hangs); ``tcp_nodelay`` saves 40 ms a GET; no manager is
needed; host and socket paths must be short; what is deleted frees its memory after two hours unless
``rgw_gc`` says sooner, and a full OSD never answers again. The count of used bytes of the store in
memory falls below zero after some ten thousand deletions, and reads as full: no ratio is that high.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from services.real import has_programs

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
INSTALL = "apt-get install --no-install-recommends ceph-mon ceph-osd radosgw ceph-common"
KEY_ID, SECRET = "testkey", "testsecret"

_CONF = """\
[global]
fsid = {fsid}
mon_host = {mon}
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_port_min = 16800
ms_bind_port_max = 17300
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
ms_client_mode = crc
ms_cluster_mode = crc
ms_service_mode = crc
mon_data_avail_warn = 2
mon_data_avail_crit = 1
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
osd_memory_target = 1073741824
memstore_device_bytes = {memory_bytes}
osd_failsafe_full_ratio = 1e15
mon_osd_full_ratio = 1e15
mon_osd_backfillfull_ratio = 1e15
mon_osd_nearfull_ratio = 1e15
mon_data = {root}/mon
osd_data = {root}/osd
rgw_data = {root}/rgw
run_dir = {root}
admin_socket = {root}/$name.asok
pid_file = {root}/$name.pid
log_file = {root}/$name.log
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_gc_obj_min_wait = 1
rgw_gc_processor_period = 5
rgw_gc_processor_max_time = 5
"""


def _conf(fsid: str, mon: str, root: Path, memory_bytes: int) -> str:
    return _CONF.format(fsid=fsid, mon=mon, root=root, memory_bytes=memory_bytes)


def installed() -> bool:
    return has_programs(*PROGRAMS)


class Rgw:
    """A running gateway at ``url``; ``stop`` it (it also stops when this process ends)."""

    def __init__(self, *, memory_bytes: int = 6 * 2**30) -> None:
        self._memory_bytes = memory_bytes  # of all objects
        self.root = Path(tempfile.mkdtemp(prefix="rgw-", dir="/tmp"))
        self._daemons: list[subprocess.Popen[bytes]] = []
        atexit.register(self.stop)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGKILL)  # the data is in memory: nothing to save
            daemon.wait()
        self._daemons.clear()
        shutil.rmtree(self.root, ignore_errors=True)
        atexit.unregister(self.stop)

    def _start(self) -> None:
        root = self.root
        for name in ("mon", "osd", "rgw"):
            (root / name).mkdir()
        fsid = str(uuid.uuid4())
        mon_v2, mon_v1, port = free_ports(3)
        mon = f"[v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]"
        (root / "ceph.conf").write_text(_conf(fsid, mon, root, self._memory_bytes))
        monmap = str(root / "monmap")
        self._run("monmaptool", "--create", "--clobber", "--addv", "a", mon, "--fsid", fsid, monmap)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self._daemon("ceph-mon", "-f", "-i", "a")
        osd = str(uuid.uuid4())
        self._run("ceph", "osd", "new", osd, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._daemon("ceph-osd", "-f", "-i", "0")
        self._run("ceph", "osd", "crush", "add", "osd.0", "1.0", "host=localhost", "root=default")
        self._wait("the OSD", lambda: "1 up" in self._run("ceph", "osd", "stat"))
        frontend = f"beast endpoint=127.0.0.1:{port} tcp_nodelay=1"
        self._daemon("radosgw", "-f", "-n", "client.rgw", f"--rgw-frontends={frontend}")
        self._wait("the gateway", lambda: _answers(port))
        self._run(
            *("radosgw-admin", "-n", "client.rgw", "user", "create", "--uid=test"),
            *("--display-name=test", f"--access-key={KEY_ID}", f"--secret-key={SECRET}"),
            "--max-buckets=0",
        )
        self.url = f"http://127.0.0.1:{port}"

    def purge(self, bucket: str) -> None:
        """Delete a bucket with all versions and parts, and free their memory at once."""
        self._run(
            *("radosgw-admin", "-n", "client.rgw", "bucket", "rm", f"--bucket={bucket}"),
            *("--purge-objects", "--bypass-gc"),
        )

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "CEPH_CONF": str(self.root / "ceph.conf")}

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, timeout=90
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
        return done.stdout

    def _daemon(self, *command: str) -> None:
        log = open(self.root / f"{command[0]}.out", "wb")  # noqa: SIM115 (the child's, for life)
        self._daemons.append(
            subprocess.Popen(
                command,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
            )
        )
        log.close()

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        give_up = time.monotonic() + 120
        while not ready():
            dead = [d.args for d in self._daemons if d.poll() is not None]
            if dead or time.monotonic() > give_up:
                raise RuntimeError(f"Ceph: {what} does not come up; ended: {dead}")
            time.sleep(0.3)


def end_with_parent() -> None:
    """Linux: the kernel ends the daemon when the test process dies, also by kill -9."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()
