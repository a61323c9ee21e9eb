"""Fixtures of the transfer tests: see ``transfer_bench``."""

from __future__ import annotations

from pathlib import Path

import pytest
from transfer_bench import Bench, make_bench

from trainset.home import open_home


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Source and home in two folders."""
    return make_bench(tmp_path, open_home(str(tmp_path / "home"), create=True))


@pytest.fixture(params=["local", "s3"])
def any_bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    """As ``bench``; the home also in a bucket."""
    if request.param == "local":
        return make_bench(tmp_path, open_home(str(tmp_path / "home"), create=True))
    bucket = request.getfixturevalue("s3_bucket")
    monkeypatch.setenv("TRAINSET_STATE", str(tmp_path / "state"))
    home = open_home(f"{bucket.url}/home", credentials=bucket.endpoint.credentials, create=True)
    home.store = bucket.store("home")  # the same place, with quick retries
    bucket.proxy.reset()
    return make_bench(tmp_path, home)
