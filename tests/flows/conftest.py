"""One Prefect server for all tests of flows, started by the first that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


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
