"""``versions:`` in a spec and ``VERSIONS=`` of the demo say where a new home keeps its versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from services.lakefs_homes import LakeFSHomes

from flows.demo import _versions
from trainset.errors import InputError, SpecError
from trainset.home import open_home
from trainset.spec import parse_spec

BASE = {"name": "x", "home": "home", "media": [{"name": "m", "from": "media"}]}


def test_versions_are_in_git_unless_the_spec_says_otherwise(tmp_path: Path) -> None:
    assert parse_spec(BASE, folder=tmp_path).versions == "git"
    spec = parse_spec({**BASE, "versions": "lakefs://street-scenes"}, folder=tmp_path)
    assert spec.versions == "lakefs://street-scenes"
    assert "versions: lakefs://street-scenes" in spec.to_yaml()
    spec = parse_spec({**BASE, "versions": "block:street-scenes"}, folder=tmp_path)
    assert spec.versions == "block:street-scenes"


@pytest.mark.parametrize("value", ["svn", "lakefs://", "lakefs://Street", "lakefs://a/b", "block:"])
def test_other_words_are_refused_with_those_that_are_known(value: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"versions: .*write git, lakefs://<repository>"):
        parse_spec({**BASE, "versions": value}, folder=tmp_path)


def test_the_demo_names_one_repository_a_home() -> None:
    one = _versions("lakefs", "/data/My Demo")
    assert one == _versions("lakefs", "/data/My Demo")
    assert one.startswith("lakefs://my-demo-")
    assert one != _versions("lakefs", "/other/My Demo")
    assert _versions("git", "/data") == "git"
    assert _versions("lakefs://mine", "/data") == "lakefs://mine"
    with pytest.raises(InputError, match="VERSIONS=svn"):
        _versions("svn", "/data")


def test_a_home_keeps_the_versions_it_was_made_with(
    lakefs_in_a_folder: LakeFSHomes, tmp_path: Path
) -> None:
    made = lakefs_in_a_folder.new_home()
    with pytest.raises(InputError, match=f"versions: {made.url}"):
        open_home(made.root, versions="git")
    open_home(str(tmp_path / "home"), create=True)
    with pytest.raises(InputError, match="versions: git"):
        open_home(str(tmp_path / "home"), create=True, versions=made.url)
