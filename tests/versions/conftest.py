"""Homes for the version tests: in a folder, and in a bucket behind the B2-strict proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from version_rows import Reopen, open_git

from trainset.home import Home, HomeConfig, open_home
from trainset.versions import open_versions
from trainset.versions.base import VersionStore

PROBE = ".trainset-probe"  # asks on purpose for what a store may refuse


@pytest.fixture
def folder_home(tmp_path: Path) -> Home:
    return open_home(str(tmp_path / "home"), create=True)


GIT = ["git in a folder", "git in a bucket"]
LAKEFS = ["lakeFS in a folder", "lakeFS in a bucket"]


@pytest.fixture(params=GIT + LAKEFS)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """Opens the same home again and again; all but a folder's each time on a new machine.

    Nothing may ask the bucket for what B2 does not do.
    """
    count = iter(range(1000))

    def new_machine() -> Path:
        state = tmp_path / f"machine-{next(count)}"
        state.mkdir()
        return state

    def in_a_folder() -> VersionStore:
        return open_git(open_home(str(tmp_path / "home"), create=True))

    if request.param == GIT[0]:
        yield in_a_folder
    elif request.param == GIT[1]:
        bucket = request.getfixturevalue("s3_bucket")
        bucket.store("home").put("trainset.json", b'{"layout": 1}')

        def in_a_bucket() -> VersionStore:
            store = bucket.store("home")
            return open_git(Home(store.url, store, new_machine(), HomeConfig()))

        yield in_a_bucket
        asked = [r for r in bucket.proxy.requests if not r.path.endswith(PROBE)]
        assert [r for r in asked if r.status in (400, 411, 501)] == []
    else:
        lakefs = request.getfixturevalue(
            "lakefs_in_a_folder" if request.param == LAKEFS[0] else "lakefs_in_a_bucket"
        )
        home = lakefs.new_home()

        def on_lakefs() -> VersionStore:
            return open_versions(home.on_machine(new_machine()))

        yield on_lakefs
