"""Homes on a lakeFS server: where they lie, who may share what, and what is refused before that."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from services.lakefs_homes import LakeFSHomes
from version_rows import held, run_once

import trainset
from trainset.errors import AccessDenied, InputError, KeyRefused, NotFound, TransientError
from trainset.home import open_home
from trainset.versions.lakefs import runs
from trainset.versions.lakefs.files import PROBE
from trainset.versions.lakefs.home import open_repository
from trainset.versions.lakefs.names import SETUP_RUN


def new_url() -> str:
    return f"lakefs://t-{uuid.uuid4().hex[:16]}"


def test_media_lie_beside_the_folder_of_repositories(
    lakefs_in_a_bucket: LakeFSHomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, url = lakefs_in_a_bucket.new_root(), new_url()
    monkeypatch.setenv("LAKEFS_STORAGE_NAMESPACE", f"{place}/lakefs/")
    credentials = lakefs_in_a_bucket.credentials
    home = open_home(url, credentials=credentials, create=True)
    assert home.store.url == place
    assert open_repository(url).namespace() == f"{place}/lakefs/{url.removeprefix('lakefs://')}"
    assert json.loads(home.store.get("trainset.json")) == {
        "layout": 2,
        "versions": url,
        "media": "media",
        "root": place,
    }
    run_once(home.versions, "r1", {"media": {"a": (1, "one")}})
    by_root = open_home(place, credentials=credentials)
    assert held(by_root.versions.snapshot("main"), "media") == {"a": (1, "one")}
    assert [entry.path for entry in home.versions.repository.list("main", folders=True)] == [
        ".trainset/",
        "tables/",
        "trainset.json",
    ]


def test_making_a_home_again_changes_nothing(lakefs_in_a_folder: LakeFSHomes) -> None:
    home = lakefs_in_a_folder.new_home()
    before = open_repository(home.url).branches()
    again = open_home(home.root, create=True, versions=home.url)
    assert again.store.url == home.root
    assert open_repository(home.url).branches() == before
    assert list(before) == ["main"]


def test_main_is_protected_from_the_first_moment(lakefs_in_a_folder: LakeFSHomes) -> None:
    repository = open_repository(lakefs_in_a_folder.new_home().url)
    with pytest.raises(AccessDenied, match="right"):
        repository.write("main", "x", b"")


def test_a_root_serves_one_dataset(lakefs_in_a_folder: LakeFSHomes) -> None:
    home = lakefs_in_a_folder.new_home()
    with pytest.raises(InputError, match=home.url):
        open_home(home.root, create=True, versions=new_url())
    root = lakefs_in_a_folder.new_root()
    open_home(root, create=True)
    with pytest.raises(InputError, match="git"):
        open_home(root, create=True, versions=new_url())
    with pytest.raises(InputError, match="not the place"):
        open_home(lakefs_in_a_folder.new_root(), create=True, versions=home.url)


def test_a_home_outside_the_servers_block_store_is_refused_before_anything_moves(
    lakefs_in_a_folder: LakeFSHomes, tmp_path: Path
) -> None:
    url = new_url()
    with pytest.raises(InputError, match="allowed_external_prefixes"):
        open_home(str(tmp_path / "elsewhere"), create=True, versions=url)
    assert not (tmp_path / "elsewhere" / "trainset.json").exists()
    with pytest.raises(NotFound, match="no dataset"):
        open_home(url)
    # The same repository takes a home that the server can read.
    root = lakefs_in_a_folder.new_root()
    assert open_home(root, create=True, versions=url).config.versions == url


def test_a_folder_is_refused_where_the_server_keeps_buckets(
    lakefs_in_a_bucket: LakeFSHomes, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="kind 's3'"):
        open_home(str(tmp_path / "folder"), create=True, versions=new_url())
    assert not (tmp_path / "folder" / "trainset.json").exists()


def test_a_home_that_is_not_there_and_a_name_that_cannot_be(
    lakefs_in_a_folder: LakeFSHomes,
) -> None:
    with pytest.raises(NotFound, match="flows pipeline"):
        trainset.open(new_url())
    with pytest.raises(InputError, match="lower-case"):
        trainset.open("lakefs://Street_Scenes")


def test_what_a_kill_left_of_the_making_of_a_home_is_no_run_and_goes(
    lakefs_in_a_folder: LakeFSHomes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = lakefs_in_a_folder.new_home()
    repository = open_repository(home.url)
    tip = repository.branch("main")
    assert tip is not None
    repository.create_branch(f"{SETUP_RUN}12345678", tip)
    repository.write(f"{SETUP_RUN}12345678", PROBE, b"where objects lie")
    (tmp_path / "one").mkdir()
    assert home.on_machine(tmp_path / "one").versions.runs() == []
    assert repository.branch(f"{SETUP_RUN}12345678") == tip, "another process may be at it"
    monkeypatch.setattr(runs, "STALE", timedelta(seconds=-5))
    (tmp_path / "two").mkdir()
    home.on_machine(tmp_path / "two").versions.repair()  # type: ignore[attr-defined]
    assert repository.branch(f"{SETUP_RUN}12345678") is None


def test_a_repository_that_is_not_there_names_those_that_are(
    lakefs_in_a_folder: LakeFSHomes,
) -> None:
    home = lakefs_in_a_folder.new_home()
    with pytest.raises(NotFound, match=home.url.removeprefix("lakefs://")):
        open_home(f"{home.url}x")


def test_a_server_that_is_not_named_or_not_there_says_so(
    lakefs_in_a_folder: LakeFSHomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_url()
    with monkeypatch.context() as patch:
        patch.setenv("LAKEFS_SECRET_ACCESS_KEY", "not-the-secret")
        with pytest.raises(KeyRefused, match="LAKEFS_SECRET_ACCESS_KEY"):
            open_home(url)
    with monkeypatch.context() as patch:
        patch.setenv("LAKEFS_ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(TransientError, match="LAKEFS_ENDPOINT"):
            open_home(url)
    monkeypatch.delenv("LAKEFS_ACCESS_KEY_ID")
    with pytest.raises(AccessDenied, match="LAKEFS_ACCESS_KEY_ID"):
        open_home(url)


def test_another_process_and_the_command_line_read_a_tag(lakefs_in_a_folder: LakeFSHomes) -> None:
    home = lakefs_in_a_folder.new_home()
    versions = open_home(home.url).versions
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    versions.tag("v1")
    run_once(versions, "r2", {"media": {"b": (2, "two")}})
    program = (
        f"import trainset; ds = trainset.open({home.url!r}, ref='v1'); "
        "print(ds.open_table('media').count())"
    )
    assert _run("-c", program) == "1\n"
    command = "import sys; from trainset.cli import main; sys.exit(main())"
    log = json.loads(_run("-c", command, "log", home.url, "--format", "json"))
    assert [commit["message"] for commit in log] == ["run r2", "run r1"]


def _run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
