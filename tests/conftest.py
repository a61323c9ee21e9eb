"""What all rooms' tests share: a clean environment, the test services, one demo a session."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # makes `services` importable

from services import demo as demo_service
from services import lakefs as lakefs_service
from services import postgres as postgres_service
from services import real
from services import s3_endpoint as s3_service
from services.lakefs_homes import LakeFSHomes, use_server

DEMO_TIMEOUT_S = 1200  # of a test that runs the demo, or is the first to ask for it
settings.register_profile("trainset", deadline=None)  # a busy machine is no failure
settings.load_profile("trainset")
lakefs_service.remember(os.environ)  # here: other conftests ask for it before the session begins
_SCRATCH = Path(tempfile.mkdtemp(prefix="trainset-tests-"))


def pytest_configure() -> None:
    """Before anything imports Prefect: no test sees the developer's settings, keys or servers."""
    for name in list(os.environ):
        if name.startswith(
            ("PREFECT_", "B2_", "LAKEFS_", "AWS_", "TRAINSET_S3_", "TRAINSET_LEDGER")
        ):
            del os.environ[name]
    for name in ("SOURCE", "OUT", "VERSIONS", "MODEL", "DRY_RUN"):  # of a `make test OUT=…`
        os.environ.pop(name, None)
    os.environ |= {
        "PREFECT_HOME": str(_SCRATCH / "prefect"),
        "TRAINSET_PREFECT_HOME": str(_SCRATCH / "managed-prefect"),
        "TRAINSET_STATE": str(_SCRATCH / "state"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
    }


def pytest_unconfigure() -> None:
    shutil.rmtree(_SCRATCH, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "demo" in names:
            item.add_marker(pytest.mark.demo)
            item.add_marker(pytest.mark.timeout(DEMO_TIMEOUT_S))
        if "prefect_server" in names:
            item.add_marker(pytest.mark.prefect)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Iterator[None]:
    """The last lines name the real parts that this machine lacks, and how to get them."""
    yield
    if real.missing:
        terminalreporter.section("real parts that were not tested here", sep="-", yellow=True)
        for part, command in sorted(real.missing.items()):
            terminalreporter.line(f"{part}: {command}")


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[s3_service.S3Endpoint]:
    """A real S3 server (Ceph; else moto) behind the B2-strict proxy."""
    endpoint = s3_service.start()
    yield endpoint
    endpoint.stop()


@pytest.fixture
def s3_bucket(s3_endpoint: s3_service.S3Endpoint) -> Iterator[s3_service.S3Bucket]:
    """A new bucket; the proxy's counts and faults start from nothing."""
    bucket = s3_endpoint.new_bucket()
    s3_endpoint.proxy.reset()
    yield bucket
    s3_endpoint.proxy.reset()


@pytest.fixture(scope="session")
def lakefs_server() -> Iterator[lakefs_service.LakeFSServer]:
    """A lakeFS server with its bytes in a folder: real where one is at hand, else the fake."""
    with lakefs_service.lakefs_server() as server:
        yield server


@pytest.fixture
def lakefs_in_a_folder(
    lakefs_server: lakefs_service.LakeFSServer, monkeypatch: pytest.MonkeyPatch
) -> LakeFSHomes:
    """Makes homes on that server, whose ``LAKEFS_*`` are in the environment."""
    return use_server(lakefs_server, monkeypatch)


@pytest.fixture(scope="session")
def s3_lakefs(s3_endpoint: s3_service.S3Endpoint) -> Iterator[lakefs_service.LakeFSServer]:
    """A server whose block store is a bucket behind the B2-strict proxy."""
    with lakefs_service.lakefs_server(bucket=s3_endpoint.new_bucket()) as server:
        yield server


@pytest.fixture
def lakefs_in_a_bucket(
    s3_lakefs: lakefs_service.LakeFSServer, monkeypatch: pytest.MonkeyPatch
) -> LakeFSHomes:
    """Makes homes on that server, whose ``LAKEFS_*`` are in the environment."""
    return use_server(s3_lakefs, monkeypatch)


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_service.Postgres]:
    """A real PostgreSQL server of this session."""
    server = postgres_service.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """The API URL of a throw-away Prefect server; flows called in this process use it."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )
    from prefect.testing.utilities import prefect_test_harness

    no_heartbeats = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}  # they cost 1 s a flow run
    with prefect_test_harness(server_startup_timeout=120), temporary_settings(no_heartbeats):
        yield str(PREFECT_API_URL.value())


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> demo_service.Demo:
    """`make demo` on the generated sample, run once a session. Read it, do not change it."""
    return demo_service.run(tmp_path_factory.mktemp("demo") / "home")


@pytest.fixture(scope="session")
def demo_home(demo: demo_service.Demo) -> Path:
    """The home that the demo made."""
    return demo.home
