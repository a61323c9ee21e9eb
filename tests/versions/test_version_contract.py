"""The promises of ``VersionStore``, for every implementation and place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from version_rows import TABLES, Reopen, held, put_rows, run_once, table_in_place

from trainset.errors import InputError, NotFound
from trainset.versions.base import MainMoved
from trainset.versions.git import GitVersions


def test_an_empty_home_has_no_commit_and_says_so(reopen: Reopen) -> None:
    versions = reopen()
    assert versions.head() is None
    assert list(versions.log()) == []
    with pytest.raises(NotFound, match="no commit yet"):
        versions.resolve("main")


def test_one_commit_holds_several_tables_and_files(reopen: Reopen, tmp_path: Path) -> None:
    versions = reopen()
    part = tmp_path / "part.bin"
    part.write_bytes(b"p" * 1000)
    workspace = versions.begin("r1")
    put_rows(workspace, "media", {"a": (1, "one"), "b": (2, "two")})
    put_rows(workspace, "labels", {"l": (7, "cat")})
    workspace.write("_meta/spec.yaml", b"name: x\n")
    workspace.put_file("meta/s/t/part-1.parquet", part)
    made = workspace.commit("first", {"run": "r1", "umlaut": "ä\nb"})
    assert made is not None
    assert made.metadata == {"run": "r1", "umlaut": "ä\nb"}
    assert versions.head() is None  # main moves by merge only
    merged = workspace.merge()

    other = reopen()
    head = other.head()
    assert head is not None
    assert (head.id, head.metadata) == (merged.id, made.metadata)
    assert (head.message, head.metadata["umlaut"]) == ("first", "ä\nb")
    snapshot = other.snapshot("main")
    assert snapshot.tables() == ["labels", "media"]
    assert held(snapshot, "media") == {"a": (1, "one"), "b": (2, "two")}
    assert held(snapshot, "labels") == {"l": (7, "cat")}
    assert snapshot.list() == ["_meta/spec.yaml", "meta/s/t/part-1.parquet"]
    assert snapshot.list("meta/") == ["meta/s/t/part-1.parquet"]
    assert snapshot.read("_meta/spec.yaml") == b"name: x\n"
    assert snapshot.fetch("_meta/spec.yaml").read_bytes() == b"name: x\n"
    assert snapshot.fetch("meta/s/t/part-1.parquet").read_bytes() == b"p" * 1000
    assert other.runs() == []
    with pytest.raises(NotFound, match="labels, media"):
        snapshot.table("nothing")
    with pytest.raises(NotFound, match="part-1"):
        snapshot.read("meta/s/t/other")


def test_every_commit_of_main_opens_in_place_with_its_own_rows(reopen: Reopen) -> None:
    versions = reopen()
    commits = [
        run_once(versions, f"r{n}", {"media": {f"k{n}": (n, "v"), "same": (n, "w")}})
        for n in range(4)
    ]
    other = reopen()
    for n, commit in enumerate(commits):
        snapshot = other.snapshot(commit.id)
        location = snapshot.table("media")
        assert location.uri == table_in_place(other, commit.id, "media")
        assert location.version is not None
        assert held(snapshot, "media") == {
            **{f"k{i}": (i, "v") for i in range(n + 1)},
            "same": (n, "w"),
        }
    assert [c.id for c in other.log()] == [c.id for c in reversed(commits)]


def test_a_run_that_changes_nothing_makes_no_commit(reopen: Reopen) -> None:
    versions = reopen()
    first = run_once(versions, "r1", {"media": {"a": (1, "one")}})
    workspace = versions.begin("r2")
    put_rows(workspace, "media", {"a": (1, "one")})
    assert workspace.commit("nothing", {}) is None
    workspace.write("state.json", b"{}")
    workspace.remove("state.json")
    assert workspace.commit("nothing", {"other": "metadata"}) is None
    workspace.discard()
    head = versions.head()
    assert head is not None
    assert head.id == first.id
    assert versions.begin("r0").commit("nothing", {}) is None


def test_the_loser_of_two_runs_is_told_and_main_keeps_the_winner(reopen: Reopen) -> None:
    versions = reopen()
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    one, two = versions.begin("one"), versions.begin("two")
    put_rows(one, "media", {"b": (2, "two")})
    put_rows(two, "media", {"c": (3, "three")})
    assert one.commit("one", {})
    assert two.commit("two", {})
    won = one.merge()
    with pytest.raises(MainMoved, match="replay"):
        two.merge()
    assert versions.resolve("main").id == won.id
    assert "two" in versions.runs()
    assert held(two, "media") == {"a": (1, "one"), "c": (3, "three")}
    assert held(versions.snapshot("main"), "media") == {"a": (1, "one"), "b": (2, "two")}


def test_a_run_is_taken_up_again_as_it_was_left(reopen: Reopen) -> None:
    versions = reopen()
    run_once(versions, "r1", {"media": {"a": (1, "one")}})
    workspace = versions.begin("r2")
    put_rows(workspace, "media", {"b": (2, "two")})
    workspace.write("meta/s/t/_state.json", b"7")
    run_once(versions, "meanwhile", {"other": {"z": (0, "")}})
    again = versions.begin("r2")
    assert again.base is not None
    assert workspace.base is not None
    assert again.base.id == workspace.base.id
    assert held(again, "media") == {"a": (1, "one"), "b": (2, "two")}
    assert again.read("meta/s/t/_state.json") == b"7"
    assert again.changes() == {"meta/s/t/_state.json": "written"}
    again.discard()
    assert versions.runs() == []
    assert held(versions.begin("r2"), "media") == {"a": (1, "one")}


def test_another_machine_tells_how_long_a_run_is_silent_and_ends_it(reopen: Reopen) -> None:
    versions = reopen()
    first = run_once(versions, "r1", {"media": {"a": (1, "one")}})
    workspace = versions.begin("r2")
    put_rows(workspace, "media", {"b": (2, "two")})
    now, hour = datetime.now(UTC), timedelta(hours=1)
    assert not versions.is_silent("r2", since=now - hour)
    assert versions.is_silent("r2", since=now + hour)
    assert workspace.commit("second", {})
    other = reopen()
    assert other.runs() == ["r2"]
    assert not other.is_silent("r2", since=now - hour)
    assert other.is_silent("r2", since=now + hour)
    other.begin("r2").discard()
    assert reopen().runs() == []
    assert reopen().resolve("main").id == first.id


def test_a_workspace_reads_its_own_writes_and_removals(reopen: Reopen, tmp_path: Path) -> None:
    versions = reopen()
    workspace = versions.begin("r1")
    workspace.write("a.json", b"1")
    workspace.write("d/b.json", b"2")
    workspace.commit("files", {})
    workspace.merge()
    workspace = versions.begin("r2")
    workspace.remove("a.json")
    workspace.write("d/b.json", b"3")
    assert workspace.list() == ["d/b.json"]
    assert workspace.read("d/b.json") == b"3"
    with pytest.raises(NotFound):
        workspace.read("a.json")
    with pytest.raises(NotFound):
        workspace.remove("a.json")
    assert workspace.changes() == {"a.json": "removed", "d/b.json": "written"}
    assert workspace.commit("removed", {})
    workspace.merge()
    assert reopen().snapshot("main").list() == ["d/b.json"]
    if isinstance(versions, GitVersions):
        assert versions.home.store.head("a.json") is None
        assert versions.home.store.get("d/b.json") == b"3"


def test_immutable_files_keep_their_first_bytes(reopen: Reopen, tmp_path: Path) -> None:
    versions = reopen()
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"111")
    two.write_bytes(b"222")
    workspace = versions.begin("r1")
    workspace.put_file("p/one.parquet", one)
    assert workspace.commit("one", {})
    workspace.merge()
    workspace = versions.begin("r2")
    workspace.put_file("p/one.parquet", one)  # the same bytes again are no change
    assert workspace.commit("same", {}) is None
    with pytest.raises(InputError, match="another name"):
        workspace.put_file("p/one.parquet", two)
    removing = versions.begin("r3")
    removing.remove("p/one.parquet")
    assert removing.commit("gone", {})
    removing.merge()
    late = versions.begin("r4")
    late.put_file("p/one.parquet", two)  # main no longer has it, but an older commit does
    with pytest.raises(InputError, match="another name"):
        late.commit("late", {})


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "tables/x", "media/aa/x", "a/.git/b", ""])
def test_paths_that_cannot_be_committed_are_refused(reopen: Reopen, path: str) -> None:
    with pytest.raises(InputError, match="another path"):
        reopen().begin("r1").write(path, b"")


def test_a_path_is_not_a_file_and_a_folder(reopen: Reopen) -> None:
    versions = reopen()
    workspace = versions.begin("r1")
    workspace.write("a/b", b"1")
    assert workspace.commit("one", {})
    workspace.merge()
    workspace = versions.begin("r2")
    workspace.write("a", b"2")
    with pytest.raises(InputError, match="also be the folder"):
        workspace.commit("two", {})


def test_tags_and_branches_are_names_of_commits(reopen: Reopen) -> None:
    versions = reopen()
    first = run_once(versions, "r1", {"media": {"a": (1, "one")}})
    assert versions.tag("v1") == "v1"
    second = run_once(versions, "r2", {"media": {"b": (2, "two")}})
    assert versions.tag("v1") == "v1.2"
    assert versions.tag("v1") == "v1.2"  # it is on this commit already
    assert versions.tag("v1", first.id) == "v1"
    versions.create_branch("exp/one", "v1")
    versions = reopen()
    assert versions.tags() == {"v1": first.id, "v1.2": second.id}
    assert versions.branches() == {"exp/one": first.id, "main": second.id}
    assert [c.tags for c in versions.log()] == [("v1.2",), ("v1",)]
    for ref in ("exp/one", "v1", first.id, first.id[:8]):
        assert versions.resolve(ref).id == first.id
    with pytest.raises(NotFound, match=r"v1\.2"):
        versions.resolve("v1.3")
    with pytest.raises(NotFound):
        versions.resolve(first.id[:7])
    with pytest.raises(InputError, match="exists"):
        versions.create_branch("exp/one")
    with pytest.raises(InputError, match="kept"):
        versions.create_branch("run/x")
    with pytest.raises(InputError, match="allowed"):
        versions.create_branch("no spaces")
    versions.delete_branch("exp/one")
    versions.create_branch("exp/one", "main")  # a deleted name can be used again
    assert reopen().branches()["exp/one"] == second.id
    with pytest.raises(NotFound):
        versions.delete_branch("exp/two")
    with pytest.raises(InputError):
        versions.delete_branch("main")


def test_a_user_branch_has_its_own_tables_and_merges_by_row(reopen: Reopen) -> None:
    versions = reopen()
    run_once(versions, "r1", {"media": {"a": (1, "one"), "b": (2, "two"), "c": (3, "x")}})
    versions.create_branch("exp")
    on_branch = versions.begin("r2", base="exp")
    put_rows(on_branch, "media", {"a": (10, "one"), "new": (4, "four")})
    TABLES.open(on_branch.table("media")).delete("key = 'c'")
    on_branch.write("_meta/functions/f.json", b"{}")
    assert on_branch.commit("on the branch", {})
    tip = on_branch.merge()
    run_once(versions, "r3", {"media": {"a": (1, "main"), "b": (22, "two")}})

    versions = reopen()
    assert versions.branches()["exp"] == tip.id
    branch = {"a": (10, "one"), "b": (2, "two"), "new": (4, "four")}
    assert held(versions.snapshot("exp"), "media") == branch
    main = {"a": (1, "main"), "b": (22, "two"), "c": (3, "x")}
    assert held(versions.snapshot("main"), "media") == main

    merged = versions.merge("exp")
    both = {"a": (10, "main"), "b": (22, "two"), "new": (4, "four")}
    assert len(merged.parents) == 2
    versions = reopen()
    assert held(versions.snapshot("main"), "media") == both
    assert versions.snapshot("main").read("_meta/functions/f.json") == b"{}"
    assert held(versions.snapshot("exp"), "media") == branch  # the branch stays as it is
    assert versions.merge("exp").id == merged.id  # nothing new
    assert versions.merge("main", "exp").parents == (tip.id, merged.id)
    assert held(versions.snapshot("exp"), "media") == both
    assert versions.runs() == []


def test_rollback_is_a_new_commit_and_later_commits_stay(reopen: Reopen) -> None:
    versions = reopen()
    first = run_once(versions, "r1", {"media": {"a": (1, "one")}})
    workspace = versions.begin("r2")
    put_rows(workspace, "media", {"a": (2, "two"), "b": (3, "three")})
    put_rows(workspace, "labels", {"l": (1, "cat")})
    workspace.write("_meta/left_out.json", b"[]")
    assert workspace.commit("second", {})
    second = workspace.merge()
    back = versions.rollback(first.id)

    versions = reopen()
    assert [c.id for c in versions.log()] == [back.id, second.id, first.id]
    assert held(versions.snapshot("main"), "media") == {"a": (1, "one")}
    assert held(versions.snapshot("main"), "labels") == {}
    assert versions.snapshot("main").list() == []
    assert held(versions.snapshot(second.id), "media") == {"a": (2, "two"), "b": (3, "three")}
    assert versions.rollback("main").id == back.id
    run_once(versions, "r3", {"media": {"b": (9, "nine")}, "labels": {"m": (2, "dog")}})
    assert held(versions.snapshot("main"), "media") == {"a": (1, "one"), "b": (9, "nine")}
    assert held(versions.snapshot("main"), "labels") == {"m": (2, "dog")}
    assert versions.rollback(second.id).id != second.id
    assert held(reopen().snapshot("main"), "labels") == {"l": (1, "cat")}
