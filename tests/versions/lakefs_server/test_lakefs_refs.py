"""Branches, commits, merges and rollbacks that trainset leans on, beyond the conformance suite."""

from __future__ import annotations

from typing import Any

from services.lakefs_repo import Repo, status_of


def test_writing_what_is_committed_already_is_no_change(repo: Repo) -> None:
    repo.put("main", "a", b"1")
    first = repo.commit()
    repo.put("main", "a", b"1")
    assert repo.api.branches_api.diff_branch(repo.name, "main").results == []
    assert status_of(repo.commit) == 400
    repo.branch("r", first)
    repo.put("r", "b")
    repo.commit("r")
    repo.merge("r")
    assert repo.paths("main") == ["a", "b"]


def test_a_branch_is_read_with_or_without_what_is_staged(repo: Repo) -> None:
    repo.put("main", "a")
    repo.commit()
    repo.put("main", "b")
    assert [repo.paths(ref) for ref in ("main", "main$", "main@")] == [
        ["a", "b"],
        ["a", "b"],
        ["a"],
    ]
    assert status_of(lambda: repo.tag("v1", "main$")) == 400


def test_a_branch_with_staged_changes_can_be_deleted(repo: Repo) -> None:
    repo.branch("r")
    repo.put("r", "a")
    repo.api.branches_api.delete_branch(repo.name, "r")
    assert status_of(lambda: repo.paths("r")) == 404


def test_branches_and_tags_share_their_names(repo: Repo) -> None:
    repo.branch("one")
    repo.tag("two", "main")
    assert status_of(lambda: repo.tag("one", "main")) == 409
    assert status_of(lambda: repo.branch("two")) == 409


def test_a_deleted_repository_leaves_its_namespace_in_use(repo: Repo) -> None:
    other = Repo(repo.server)
    other.api.repositories_api.delete_repository(other.name)
    assert status_of(lambda: repo.create(f"{other.name}-b", other.name)) == 400


def test_the_first_parents_leave_out_the_commits_of_merged_branches(repo: Repo) -> None:
    repo.branch("r")
    repo.put("r", "a")
    inner = repo.commit("r")
    merged = repo.merge("r")

    def log(**options: Any) -> list[str]:
        return [
            one.id for one in repo.api.refs_api.log_commits(repo.name, "main", **options).results
        ]

    first = log()[-1]
    assert log() == [merged, inner, first]
    assert log(first_parent=True) == [merged, first]
    assert log(stop_at=inner) == [merged, inner]


def test_a_commit_takes_a_date_and_the_log_goes_by_dates(repo: Repo) -> None:
    repo.put("main", "a")
    old = repo.commit(date=86400)
    read = repo.api.commits_api.get_commit(repo.name, old)
    assert read.creation_date == 86400
    assert repo.api.refs_api.log_commits(repo.name, "main").results[0].id == old


def test_commits_that_say_the_same_in_one_second_are_one_commit(repo: Repo) -> None:
    for branch in ("r", "q"):
        repo.branch(branch)
    one, same = (repo.commit(x, allow_empty=True, date=1000) for x in ("r", "q"))
    assert one == same
    assert repo.commit("r", allow_empty=True, date=1000) != one  # its parent is another
    for branch in ("r", "q"):
        repo.put(branch, "a")
    assert repo.commit("r", date=1000) != repo.commit("q", date=1000)  # and so are the bytes


def test_a_merge_base_names_the_two_commits_the_wrong_way_round(repo: Repo) -> None:
    repo.branch("r")
    base = repo.commit("r", allow_empty=True)
    repo.branch("q", "r")
    ours, theirs = (repo.commit(x, allow_empty=True, metadata={"by": x}) for x in ("r", "q"))
    found = repo.api.refs_api.find_merge_base(repo.name, "r", "q")
    assert found.base_commit_id == base
    assert (found.source_commit_id, found.destination_commit_id) == (theirs, ours)


def test_the_same_deletion_on_both_sides_is_no_conflict_and_another_change_is(repo: Repo) -> None:
    for path in ("a", "b", "c"):
        repo.put("main", path, b"0")
    repo.commit()
    repo.branch("r")
    for branch in ("r", "main"):
        repo.delete(branch, "a")
    repo.delete("r", "b")
    repo.put("main", "b", b"1")
    repo.put("r", "c", b"1")
    repo.commit("r")
    repo.commit()
    assert repo.conflicts("main", "r") == {"b": "conflict", "c": "changed"}
    assert status_of(lambda: repo.merge("r")) == 409
    repo.merge("r", strategy="dest-wins")
    assert repo.paths("main") == ["b", "c"]
    assert (repo.read("main", "b"), repo.read("main", "c")) == (b"1", b"1")


def test_a_rolled_back_merge_does_not_come_again_by_merging(repo: Repo) -> None:
    """Its commits are in main's history: merging the branch once more is "nothing to do"."""
    repo.put("main", "base")
    repo.commit()
    repo.branch("r")
    repo.put("r", "a")
    repo.commit("r")
    merged = repo.merge("r")
    repo.revert(merged, 1)
    assert repo.paths("main") == ["base"]
    assert status_of(lambda: repo.merge("r")) == 400
    assert status_of(lambda: repo.revert(merged, 1)) == 400
    repo.revert("main")  # the rollback taken back
    assert repo.paths("main") == ["a", "base"]


def test_a_revert_of_what_was_changed_since_is_a_conflict(repo: Repo) -> None:
    repo.put("main", "a", b"1")
    bad = repo.commit()
    repo.put("main", "a", b"2")
    repo.commit()
    assert status_of(lambda: repo.revert(bad)) == 409
    repo.put("main", "b")
    assert status_of(lambda: repo.revert("main")) == 400  # staged changes
    assert repo.read("main", "a") == b"2"


def test_a_squashed_merge_has_one_parent(repo: Repo) -> None:
    repo.branch("r")
    repo.put("r", "a")
    repo.commit("r")
    merged = repo.api.commits_api.get_commit(repo.name, repo.merge("r", squash_merge=True))
    assert len(merged.parents) == 1
    assert merged.metadata[".lakefs.merge.strategy"] == "default"
