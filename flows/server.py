"""The Prefect server of ad hoc runs: found, or started for the run and stopped after the last one.

Prefect's own ephemeral server dies with the script, before it has recorded most task runs. Here a
real server runs over one database per checkout, shared by all runs that need it at the same time;
``server_keeper`` stops it when the last one has ended, whichever way it ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from flows import server_keeper
from flows.limits import keep_upload_limit
from trainset.errors import InputError, TransientError

START_S = 120.0  # a cold start takes 10 to 60 s on a busy machine


class ServerUnreachable(TransientError):
    """The Prefect server that this run should use does not answer."""

    kind = "server-unreachable"


def prefect_home() -> Path:
    """Where the managed server keeps its database and log: ``.prefect`` in the checkout.

    TRAINSET_PREFECT_HOME names another folder.
    """
    if given := os.environ.get("TRAINSET_PREFECT_HOME"):
        return Path(given).expanduser().resolve()
    checkout = Path(__file__).resolve().parents[1]
    return (checkout if (checkout / "pyproject.toml").exists() else Path.cwd()) / ".prefect"


@contextmanager
def managed_server() -> Iterator[str]:
    """Give the API URL of the Prefect server to use; start one where the user has none.

    Enter it before the flows are imported: Prefect reads its settings once, at import.

    Raises:
        ServerUnreachable: the user's server does not answer, or ours did not start in 120 s.
        InputError: the folder of our server cannot be written.
    """
    if url := configured_url():
        check_reachable(url)
        yield url
        return
    home = prefect_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise InputError(
            f"{home} cannot be made ({err.strerror}); name another folder in TRAINSET_PREFECT_HOME"
        ) from err
    with ExitStack() as stack:
        users = stack.enter_context((home / "users.lock").open("a+"))  # closing it ends our use
        url = _find_or_start(home, users)
        stack.enter_context(_prefect_settings(home, url))
        stack.callback(_flush_prefect)
        yield url


def serve_ui() -> int:
    """Show the Prefect UI until Ctrl-C; returns the exit status."""
    with managed_server() as url:
        print(f"Prefect UI: {url.removesuffix('/api')}    (Ctrl-C ends it)", flush=True)
        try:
            while _answers(url):
                time.sleep(2)
        except KeyboardInterrupt:
            return 0
    print(f"the server ended; its log: {prefect_home() / 'server.log'}", file=sys.stderr)
    return 1


def configured_url() -> str | None:
    """The API URL of a server that the user chose: PREFECT_API_URL, or the active profile's.

    The profile is read here, not by Prefect, which would fix its settings on import.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        return url.rstrip("/")
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    path = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml").expanduser()
    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, tomllib.TOMLDecodeError) as err:
        raise InputError(f"{path} cannot be read ({err}); mend it or set PREFECT_API_URL") from err
    name = os.environ.get("PREFECT_PROFILE") or profiles.get("active", "")
    url = profiles.get("profiles", {}).get(name, {}).get("PREFECT_API_URL")
    return url.rstrip("/") if url else None


def check_reachable(url: str) -> None:
    """Raises ServerUnreachable when nothing listens at ``url``."""
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), timeout=10).close()
    except OSError as err:
        raise ServerUnreachable(
            f"the Prefect server at {address.hostname}:{port} does not answer ({err}); start it, "
            "or take PREFECT_API_URL out of the environment or profile to have one started here"
        ) from err


def _find_or_start(home: Path, users: IO[str]) -> str:
    """Take a share of the running server, or start one; returns its API URL, answering."""
    with (home / "start.lock").open("a+") as starting:
        server_keeper.lock(starting, fcntl.LOCK_EX)
        server_keeper.lock(users, fcntl.LOCK_SH)  # waits while a keeper stops its server
        keeper = None if _kept(home) else _start_keeper(home)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            url = _kept(home)
            if url and server_keeper.healthy(url):
                if keeper:
                    keep_upload_limit(url)
                return url
            if keeper and keeper.poll() is not None:
                break
            time.sleep(0.3)
    raise ServerUnreachable(
        f"the Prefect server did not start within {START_S:.0f} s; its log says:\n"
        f"{_tail(home / 'server.log')}\nrun the same command again, or start one yourself with "
        "'prefect server start' and set PREFECT_API_URL"
    )


def _kept(home: Path) -> str | None:
    """The URL of the server that a living keeper wrote down; a dead one's card is no use."""
    try:
        with (home / "server.json").open("r") as card:
            if server_keeper.lock(card, fcntl.LOCK_SH, wait=False):
                return None  # no keeper holds it
            text = card.read()
    except FileNotFoundError:
        return None
    url = json.loads(text)["url"] if text.endswith("}") else None  # still being written
    return str(url) if url else None


def _start_keeper(home: Path) -> subprocess.Popen[bytes]:
    port = _free_port()
    with (home / "server.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-P", server_keeper.__file__, str(home), str(port)],
            cwd=home,  # so that no prefect.toml or .env of the user's folder is picked up
            env=server_environment(os.environ, home, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the run, which still has states to report
        )


def server_environment(base: Mapping[str, str], home: Path, port: int) -> dict[str, str]:
    """The environment of our server: ``base`` without other Prefect settings, plus ours."""
    kept = {k: v for k, v in base.items() if not k.startswith("PREFECT_")}
    recorder = "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_"
    persister = "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_"
    return kept | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # Batches cost the server a quarter of the CPU time per task run (docs/decisions/001).
        f"{recorder}BATCH_SIZE": "100",
        f"{recorder}READ_BATCH_SIZE": "100",
        f"{recorder}FLUSH_INTERVAL": "1",
        f"{persister}BATCH_SIZE": "100",
        f"{persister}READ_BATCH_SIZE": "100",
    }


def _free_port() -> int:
    """Prefect's own port if nobody has it, so that bookmarks of the UI last; else any."""
    for port in (4200, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise InputError("no free port on 127.0.0.1; end some programs and run again")


@contextmanager
def _prefect_settings(home: Path, url: str) -> Iterator[None]:
    """Point this process, and those it starts, at the managed server."""
    ours = {"PREFECT_HOME": str(home), "PREFECT_API_URL": url, "DO_NOT_TRACK": "1"}
    hidden = ("PREFECT_PROFILE", "PREFECT_PROFILES_PATH", "PREFECT_API_KEY")
    before = {name: os.environ.get(name) for name in (*ours, *hidden)}
    for name in hidden:
        os.environ.pop(name, None)
    os.environ.update(ours)
    with ExitStack() as stack:
        if "prefect.settings" in sys.modules:  # imported earlier: the environment comes too late
            from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

            stack.enter_context(temporary_settings({PREFECT_API_URL: url, PREFECT_HOME: home}))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _flush_prefect() -> None:
    """Send what Prefect still holds in its queues; the server may stop once our share ends."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(timeout=20)
    APILogWorker.drain_all(timeout=20)


def _answers(url: str) -> bool:
    return any(server_keeper.healthy(url, timeout_s=10) for _ in range(3))


def _tail(path: Path, lines: int = 12) -> str:
    text = path.read_text(encoding="utf-8", errors="replace")
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])
