"""A repository on every lakeFS server that can be started here, the fake always among them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from services import lakefs
from services.lakefs import LakeFSServer
from services.lakefs_repo import Repo


@pytest.fixture(scope="session", params=lakefs.choices(), ids="-".join)
def server(request: pytest.FixtureRequest) -> Iterator[LakeFSServer]:
    kind, blocks = request.param
    endpoint = request.getfixturevalue("s3_endpoint") if blocks == "bucket" else None
    bucket = endpoint.new_bucket() if endpoint else None
    with lakefs.lakefs_server(kind, bucket=bucket) as running:
        yield running


@pytest.fixture
def repo(server: LakeFSServer) -> Iterator[Repo]:
    made = Repo(server)
    yield made
    made.api.repositories_api.delete_repository(made.name)
