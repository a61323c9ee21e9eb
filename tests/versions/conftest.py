"""Homes for the version tests: in a folder, and in a bucket behind the B2-strict proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from version_rows import GIT, LAKEFS, Reopen, ReopenHome

from trainset.home import Home, HomeConfig, open_home

PROBE = ".trainset-probe"  # asks on purpose for what a store may refuse


@pytest.fixture
def folder_home(tmp_path: Path) -> Home:
    return open_home(str(tmp_path / "home"), create=True)


@pytest.fixture(params=GIT + LAKEFS)
def reopen_home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReopenHome]:
    """Opens the same home again and again; all but a folder's each time on a new machine.

    Nothing may ask the bucket for what B2 does not do.
    """
    count = iter(range(1000))

    def new_machine() -> Path:
        state = tmp_path / f"machine-{next(count)}"
        state.mkdir()
        return state

    if request.param == GIT[0]:
        yield lambda: open_home(str(tmp_path / "home"), create=True)
    elif request.param == GIT[1]:
        bucket = request.getfixturevalue("s3_bucket")
        bucket.store("home").put("trainset.json", b'{"layout": 1}')

        def in_a_bucket() -> Home:
            store = bucket.store("home")
            return Home(store.url, store, new_machine(), HomeConfig())

        yield in_a_bucket
        asked = [r for r in bucket.proxy.requests if not r.path.endswith(PROBE)]
        assert [r for r in asked if r.status in (400, 411, 501)] == []
    else:
        lakefs = request.getfixturevalue(
            "lakefs_in_a_folder" if request.param == LAKEFS[0] else "lakefs_in_a_bucket"
        )
        home = lakefs.new_home()
        yield lambda: home.on_machine(new_machine())


@pytest.fixture
def reopen(reopen_home: ReopenHome) -> Reopen:
    """As ``reopen_home``, the home's versions."""
    return lambda: reopen_home().versions
