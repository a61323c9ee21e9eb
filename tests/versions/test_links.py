"""Media linked into lakeFS by reference: which, with what, how often, and what cannot be linked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from media_home import put_media
from services.lakefs_homes import LakeFSHome, LakeFSHomes

from trainset.home import Home
from trainset.versions.base import MediaLink
from trainset.versions.lakefs.files import MEDIA
from trainset.versions.lakefs.links import try_place
from trainset.versions.lakefs.names import RUN, trial_of
from trainset.versions.lakefs.objects import Entry
from trainset.versions.lakefs.store import LakeFSVersions
from trainset.versions.lakefs.workspace import LakeFSWorkspace

AT = ("main", "r1")
ODD = ["a b.png", "100%#?.png", "日本/é.png", "a//b.png", "../up.png", "+&=.png", "_trial.png"]


@pytest.fixture(params=["folder", "bucket"])
def home(request: pytest.FixtureRequest) -> LakeFSHome:
    homes: LakeFSHomes = request.getfixturevalue(f"lakefs_in_a_{request.param}")
    return homes.new_home()


@pytest.fixture
def opened(home: LakeFSHome, tmp_path: Path) -> Home:
    (tmp_path / "state").mkdir()
    return home.on_machine(tmp_path / "state")


def versions_of(home: Home) -> LakeFSVersions:
    assert isinstance(home.versions, LakeFSVersions)
    return home.versions


def links_of(home: Home, bodies: dict[str, bytes]) -> list[MediaLink]:
    """The links of media that are put into the home."""
    from media_home import medium

    from trainset.run.links import block_address

    links = []
    for key, body in bodies.items():
        row = medium(home, key, body)
        home.store.put(row["uri"], body, sha256=row["sha256"])
        found = block_address(home, row["uri"])
        assert found is not None
        links.append(
            MediaLink(f"{MEDIA}{key}", found[0], row["sha256"], len(body), "image/png", found[1])
        )
    return sorted(links, key=lambda link: link.path.encode())


def listed(home: Home, ref: str) -> dict[str, Entry]:
    found = versions_of(home).repository.list(ref, MEDIA)
    return {entry.path.removeprefix(MEDIA): entry for entry in found}


def begin(home: Home, run_id: str) -> LakeFSWorkspace:
    return versions_of(home).begin(run_id)


def linked(home: Home, run_id: str, links: list[MediaLink]) -> LakeFSWorkspace:
    workspace = begin(home, run_id)
    workspace.link_media(links)
    return workspace


def test_a_link_has_our_sha256_and_reads_the_bytes_where_they_lie(opened: Home) -> None:
    links = links_of(opened, {key: key.encode() for key in ODD})
    workspace = begin(opened, "r1")
    said = workspace.link_media(links)
    assert (said.linked, said.unlinked, said.kept, said.left) == (len(ODD), 0, 0, 0)
    found = listed(opened, workspace.branch)
    assert {k: (e.checksum, e.size, e.mime) for k, e in found.items()} == {
        link.path.removeprefix(MEDIA): (link.sha256, link.size, "image/png") for link in links
    }
    commit = workspace.commit("links alone", {})
    assert commit is not None
    workspace.merge()
    for key in ODD:
        assert versions_of(opened).repository.read("main", MEDIA + key) == key.encode()
    assert versions_of(opened).snapshot("main").list() == []  # they are no files of the dataset


def test_a_second_run_links_nothing_and_makes_no_commit(opened: Home) -> None:
    links = links_of(opened, {"a": b"a", "b": b"b"})
    workspace = linked(opened, "r1", links)
    workspace.commit("r1", {})
    workspace.merge()
    for before in (None, links):  # by the server's listing, and by the rows of the base
        workspace = begin(opened, "r2")
        said = workspace.link_media(links, before=before)
        assert (said.linked, said.unlinked, said.kept) == (0, 0, 2)
        assert workspace.commit("r2", {}) is None
        workspace.discard()


def test_rows_that_change_or_go_change_their_links(opened: Home) -> None:
    first = links_of(opened, {"a": b"a", "b": b"b", "c": b"c"})
    workspace = linked(opened, "r1", first)
    workspace.commit("r1", {})
    workspace.merge()
    then = links_of(opened, {"a": b"a", "b": b"other", "d": b"d"})
    workspace = begin(opened, "r2")
    said = workspace.link_media(then, before=first)
    assert (said.linked, said.unlinked, said.kept) == (2, 1, 1)
    workspace.commit("r2", {})
    workspace.merge()
    assert {k: e.checksum for k, e in listed(opened, "main").items()} == {
        link.path.removeprefix(MEDIA): link.sha256 for link in then
    }


def test_a_rollback_brings_the_links_back(opened: Home) -> None:
    for run_id, bodies in (("r1", {"a": b"1", "b": b"b"}), ("r2", {"a": b"2", "c": b"c"})):
        workspace = begin(opened, run_id)
        put_media(opened, workspace, bodies)
        workspace.link_media(links_of(opened, bodies))
        workspace.commit(run_id, {"run": run_id})
        workspace.merge()
        versions_of(opened).tag(run_id)
    versions_of(opened).rollback("r1")
    same = ({k: (e.checksum, e.address) for k, e in listed(opened, at).items()} for at in AT)
    assert next(same) == next(same)
    assert set(listed(opened, "r2")) == {"a", "c"}


def test_a_merged_branch_brings_its_links(opened: Home) -> None:
    workspace = begin(opened, "r1")
    put_media(opened, workspace, {"a": b"a"})
    workspace.link_media(links_of(opened, {"a": b"a"}))
    workspace.commit("r1", {})
    workspace.merge()
    versions = versions_of(opened)
    versions.create_branch("side")
    workspace = versions.begin("r2", base="side")
    put_media(opened, workspace, {"s": b"s"})
    workspace.link_media(links_of(opened, {"a": b"a", "s": b"s"}))
    workspace.commit("r2", {})
    workspace.merge()
    workspace = begin(opened, "r3")
    put_media(opened, workspace, {"m": b"m"})
    workspace.link_media(links_of(opened, {"a": b"a", "m": b"m"}))
    workspace.commit("r3", {})
    workspace.merge()
    versions.merge("side")
    assert set(listed(opened, "main")) == {"a", "m", "s"}


def test_linking_that_was_cut_off_goes_on_where_it_was(opened: Home) -> None:
    links = links_of(opened, {f"{n:03d}": b"%d" % n for n in range(120)})

    def cut_off() -> Iterator[MediaLink]:
        yield from links[:70]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        linked(opened, "r1", cut_off())  # type: ignore[arg-type]
    done = len(listed(opened, begin(opened, "r1").branch))
    said = begin(opened, "r1").link_media(links)
    assert (said.linked, said.kept, said.left) == (120 - done, done, 0)
    assert done > 0


def test_a_place_that_the_server_cannot_read_is_said_and_the_commit_is_whole(
    opened: Home, tmp_path: Path
) -> None:
    here = links_of(opened, {"a": b"a"})
    gone = "s3://no-such-bucket" if here[0].address.startswith("s3") else "local:///nowhere/at/all"
    there = [
        MediaLink(f"{MEDIA}{name}", f"{gone}/{name}", "0" * 64, 7, "image/png", gone)
        for name in ("x", "y")
    ]
    workspace = begin(opened, "r1")
    said = workspace.link_media([*here, *there])
    assert (said.linked, said.left) == (1, 2)
    assert list(said.refused) == [gone]
    workspace.commit("r1", {})
    workspace.merge()
    assert set(listed(opened, "main")) == {"a"}
    assert not versions_of(opened).repository.branches(RUN)


def test_a_trial_branch_goes_with_its_run_and_is_no_run(opened: Home) -> None:
    versions = versions_of(opened)
    for how in ("run ends", "home is opened"):
        workspace = begin(opened, "r1")
        trial = trial_of(workspace.branch)
        tip = versions.repository.branch(workspace.branch)
        assert tip is not None
        versions.repository.create_branch(trial, tip)  # as a kill in the middle of a trial left it
        assert versions.runs() == ["r1"]
        if how == "run ends":
            workspace.discard()
        else:
            versions.repository.delete_branch(workspace.branch)
            versions.repair()
        assert versions.repository.branch(trial) is None
    workspace = begin(opened, "r1")
    versions.repository.create_branch(trial_of(workspace.branch), tip)
    (link,) = links_of(opened, {"a": b"a"})
    assert try_place(versions.repository, workspace.branch, link) is None
