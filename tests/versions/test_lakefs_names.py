"""Names on lakeFS, and what its refusals say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainset.errors import (
    AccessDenied,
    ConflictError,
    InputError,
    KeyRefused,
    NotFound,
    Throttled,
    TransientError,
)
from trainset.versions.lakefs.errors import NothingToDo, Reply, explain, read_message
from trainset.versions.lakefs.names import (
    branch_of_run,
    check_repository,
    check_tag,
    decode_name,
    encode_name,
    run_of_branch,
)

PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}"


@given(st.from_regex(rf"{PART}(/{PART})?", fullmatch=True))
def test_any_name_of_ours_fits_lakefs_and_comes_back(name: str) -> None:
    branch = encode_name(name)
    assert all(c.isascii() and (c.isalnum() or c in "-_") for c in branch)
    assert not branch.startswith("-")
    assert decode_name(branch) == name


def test_branches_that_others_named_keep_their_names() -> None:
    assert decode_name("my_branch") == "my_branch"
    assert decode_name("feature_1") == "feature_1"


def test_a_run_and_its_replay_have_branches_of_their_own() -> None:
    assert branch_of_run("2026-11-26.r1") == "run-2026-11-26_2er1"
    assert run_of_branch("run-2026-11-26_2er1") == "2026-11-26.r1"
    with pytest.raises(InputError, match="allowed"):
        branch_of_run("no spaces")


@pytest.mark.parametrize("name", ["", "ab", "Street", "a_b", "-ab", "a" * 64, "a/b"])
def test_a_repository_name_that_lakefs_would_refuse_is_refused_here(name: str) -> None:
    with pytest.raises(InputError, match="choose another name"):
        check_repository(name)


def test_a_tag_has_no_slash() -> None:
    assert check_tag("v1.2") == "v1.2"
    with pytest.raises(InputError, match="write '-'"):
        check_tag("v/1")


@pytest.mark.parametrize(
    ("status", "message", "kind", "next_step"),
    [
        (400, "commit: no changes", NothingToDo, "nothing left"),
        (400, "storage namespace already in use", InputError, "LAKEFS_STORAGE_NAMESPACE"),
        (400, "invalid value", InputError, "mend"),
        (401, "error authenticating request", KeyRefused, "LAKEFS_SECRET_ACCESS_KEY"),
        (403, "cannot write to protected branch", AccessDenied, "right"),
        (500, "bad path traversal blocked", AccessDenied, "allowed_external_prefixes"),
        (404, "repository not found", NotFound, "check the name"),
        (409, "conflict found", ConflictError, "both sides"),
        (412, "pre-merge hook failed", ConflictError, "both sides"),
        (429, "too many requests", Throttled, "later"),
        (500, "kv: timeout", TransientError, "try again"),
        (503, "", TransientError, "try again"),
    ],
)
def test_every_refusal_says_what_to_do(
    status: int, message: str, kind: type[Exception], next_step: str
) -> None:
    error = explain(Reply(status, message), what="merge run-7 into main", endpoint="http://x:1")
    assert type(error) is kind or isinstance(error, kind)
    assert "merge run-7 into main" in str(error)
    assert next_step in str(error)


def test_a_body_that_is_no_json_is_its_own_message() -> None:
    assert read_message(b'{"message": "not found"}') == "not found"
    assert read_message("<html>gateway</html>") == "<html>gateway</html>"
    assert read_message(b"[1]") == "[1]"
    assert read_message(None) == ""
