"""The managed Prefect server: found or started, shared, and gone after its last user."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from flows.limits import BATCHES
from flows.server import (
    ServerUnreachable,
    configured_url,
    managed_server,
    prefect_home,
    server_environment,
)
from flows.server_keeper import healthy
from trainset.errors import InputError

USER = """
import sys
from flows.server import managed_server

with managed_server() as url:
    from prefect import flow, task

    @task
    def double(x):
        return 2 * x

    @flow
    def doubles():
        return sum(future.result() for future in double.map(range(20)))

    print(url, doubles(), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in list(os.environ):
        if name.startswith("PREFECT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("TRAINSET_PREFECT_HOME", str(tmp_path / "managed"))
    return tmp_path


def test_the_users_server_is_taken_from_environment_then_profile(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert configured_url() is None
    (clean / "user").mkdir()
    (clean / "user" / "profiles.toml").write_text(
        'active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
        "[profiles.none]\n"
    )
    assert configured_url() == "http://127.0.0.1:9/api"
    monkeypatch.setenv("PREFECT_PROFILE", "none")
    assert configured_url() is None
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:8/api/")
    assert configured_url() == "http://127.0.0.1:8/api"


def test_a_users_server_that_is_down_is_named_and_none_is_started(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    told = pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:9 .* start it, or take PREFECT_A")
    with told, managed_server():
        pass
    assert not (clean / "managed").exists()


def test_a_broken_profile_file_is_named(clean: Path) -> None:
    (clean / "user").mkdir()
    (clean / "user" / "profiles.toml").write_text("active = ")
    with pytest.raises(InputError, match=r"profiles\.toml cannot be read"):
        configured_url()


def test_the_servers_environment_holds_no_other_prefect_settings(tmp_path: Path) -> None:
    base = {"PATH": "/bin", "PREFECT_PROFILE": "team", "PREFECT_API_KEY": "secret"}
    made = server_environment(base, tmp_path, 4711)
    assert made["PATH"] == "/bin"
    assert made["PREFECT_SERVER_UI_API_URL"] == made["PREFECT_API_URL"]
    assert made["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert "secret" not in made.values()
    assert "PREFECT_PROFILE" not in made


@pytest.mark.prefect
def test_runs_share_one_server_that_ends_after_the_last_even_after_kill_9(clean: Path) -> None:
    home = prefect_home()
    home.mkdir()
    (home / "server.json").write_text('{"url": "http://127.0.0.1:1/api"}')  # of a dead keeper
    first = _user(clean)
    url, total = _said(first)
    second = _user(clean)
    assert _said(second) == [url, total]
    assert total == "380"

    second.kill()
    second.wait()
    time.sleep(2)
    assert healthy(url), "the first run still needs it"
    first.send_signal(signal.SIGKILL)
    first.wait()

    deadline = time.monotonic() + 60
    while (home / "server.json").read_text() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert (home / "server.json").read_text() == "", "the keeper clears its card when it ends"
    assert not healthy(url)
    with sqlite3.connect(home / "prefect.db") as database:
        states = dict(database.execute("select state_name, count(*) from task_run group by 1"))
        limits = dict(database.execute('select name, "limit" from concurrency_limit_v2'))
    assert states == {"Completed": 40}
    assert limits == {"tag:b2-upload": BATCHES}


def _user(cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER],
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PREFECT_LOGGING_LEVEL": "WARNING"},
    )


def _said(process: subprocess.Popen[str]) -> list[str]:
    output: IO[str] | None = process.stdout
    assert output is not None
    return output.readline().split()
