"""A real PostgreSQL server on a free loopback port, its data in a temporary folder.

The server refuses to run as root: there it runs as ``postgres``, the user of Debian's package.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

from services.real import need

INSTALL = "apt-get install --no-install-recommends postgresql"
USER, PASSWORD = "trainset", "se/cr@t"


def start() -> Postgres:
    """Start a server, or skip the test where the programs are not installed."""
    if (programs := _programs()) is None:
        need("PostgreSQL", INSTALL)
    return Postgres(programs)


class Postgres:
    """A running server; ``stop`` it (it also stops when this process ends)."""

    def __init__(self, programs: Path) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.programs = programs
        self._data = self.root / "data"
        self.port = _free_port()
        atexit.register(self.stop)
        try:
            if os.geteuid() == 0:
                shutil.chown(self.root, "postgres")
            secret = self.root / "secret"
            secret.write_text(PASSWORD)
            secret.chmod(0o644)
            self._run(
                *("initdb", "-D", str(self._data), "-U", USER, f"--pwfile={secret}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
            )
            self.begin()
        except BaseException:
            self.stop()
            raise

    def url(self, database: str = "postgres", *, user: str = USER, password: str = PASSWORD) -> str:
        coded = password.replace("@", "%40").replace("/", "%2F")
        return f"postgresql://{user}:{coded}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The url of an empty database."""
        import psycopg

        name = f"db_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def begin(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -k {self.root}"
        log = str(self.root / "log")
        self._run("pg_ctl", "-D", str(self._data), "-l", log, "-w", "-o", options, "start")

    def end(self) -> None:
        """Break all connections; ``begin`` again."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def stop(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self.end()
        shutil.rmtree(self.root, ignore_errors=True)
        atexit.unregister(self.stop)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(
            command,
            cwd="/",  # the server's user may not see ours
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # no pipes: the server would keep them open
            stderr=(self.root / "errors").open("wb"),
            timeout=60,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {(self.root / 'errors').read_text()[-2000:]}")


def _programs() -> Path | None:
    """The folder of the newest server's programs."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = sorted(debian, key=lambda p: int(re.sub(r"\D", "", p.parts[-3]) or 0))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path and shutil.which("pg_ctl") else None


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
