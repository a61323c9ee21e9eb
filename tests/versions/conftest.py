"""Homes for the version tests: in a folder, and in a bucket behind the B2-strict proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from version_rows import Reopen, open_git

from trainset.home import Home, HomeConfig, open_home
from trainset.versions.git import GitVersions

PROBE = ".trainset-probe"  # asks on purpose for what a store may refuse


@pytest.fixture
def folder_home(tmp_path: Path) -> Home:
    return open_home(str(tmp_path / "home"), create=True)


@pytest.fixture(params=["git in a folder", "git in a bucket"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """Opens the same home again and again; in a bucket each time on a machine of its own.

    Nothing may ask the bucket for what B2 does not do.
    """
    bucket = None
    if request.param == "git in a folder":

        def opened() -> GitVersions:
            return open_git(open_home(str(tmp_path / "home"), create=True))

    else:
        bucket = request.getfixturevalue("s3_bucket")
        bucket.store("home").put("trainset.json", b'{"layout": 1}')
        count = iter(range(1000))

        def opened() -> GitVersions:
            state = tmp_path / f"machine-{next(count)}"
            state.mkdir()
            store = bucket.store("home")
            return open_git(Home(store.url, store, state, HomeConfig()))

    yield opened
    if bucket is not None:
        asked = [r for r in bucket.proxy.requests if not r.path.endswith(PROBE)]
        assert [r for r in asked if r.status in (400, 411, 501)] == []
