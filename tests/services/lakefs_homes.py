"""Homes on a lakeFS server for tests: each in a repository and at a root of its own."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.lakefs import LakeFSServer
from trainset.home import Home, open_home
from trainset.model import Credentials


@dataclass(frozen=True)
class LakeFSHome:
    """A home that exists: ``url`` is the repository's, ``root`` where its media lie."""

    url: str
    root: str
    credentials: Credentials | None

    def on_machine(self, state: Path) -> Home:
        """The home as a machine opens it that never saw it before."""
        home = open_home(self.url, credentials=self.credentials)
        return Home(home.url, home.store, state, home.config, credentials=self.credentials)


@dataclass(frozen=True)
class LakeFSHomes:
    """Makes homes on one server, whose ``LAKEFS_*`` are in the environment."""

    server: LakeFSServer

    @property
    def credentials(self) -> Credentials | None:
        """Of the block store; None: a folder."""
        given = self.server.s3
        if not given:
            return None
        return Credentials(
            key_id=given["S3_ACCESS_KEY"],
            application_key=SecretStr(given["S3_SECRET_KEY"]),
            endpoint=given["S3_ENDPOINT"],
        )

    def new_root(self) -> str:
        """A place outside the repositories, in the server's block store, that nobody uses."""
        place = str(self.server.external).removeprefix("local://")
        return f"{place}/{uuid.uuid4().hex[:12]}"

    def new_url(self) -> str:
        """Of a repository that is not there yet."""
        return f"lakefs://t-{uuid.uuid4().hex[:16]}"

    def new_home(self) -> LakeFSHome:
        root, url = self.new_root(), self.new_url()
        open_home(root, credentials=self.credentials, create=True, versions=url)
        return LakeFSHome(url, root, self.credentials)


def use_server(server: LakeFSServer, monkeypatch: pytest.MonkeyPatch) -> LakeFSHomes:
    """The server's ``LAKEFS_*`` are in the environment during the test, as a user sets them."""
    for name, value in server.environment.items():
        if name.startswith("LAKEFS_"):
            monkeypatch.setenv(name, value)
    return LakeFSHomes(server)
