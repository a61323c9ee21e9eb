"""The doctor's look at a lakeFS server: what is there, what a run will make, what is missing."""

from __future__ import annotations

import pytest
from services.lakefs_homes import LakeFSHomes

from flows.doctor import checks
from flows.doctor_check import Check
from flows.doctor_lakefs import lakefs_checks
from trainset.versions.lakefs.home import open_repository
from trainset.versions.lakefs.objects import Repository


def look(url: str) -> list[tuple[str, str]]:
    return [(check.name, check.state) for check in lakefs_checks(url, None)]


def repository_of(url: str) -> Check:
    return lakefs_checks(url, None)[-1]


def test_a_dataset_is_there_and_its_main_protected(lakefs_in_a_folder: LakeFSHomes) -> None:
    url = lakefs_in_a_folder.new_home().url
    assert look(url) == [("lakeFS server", "ok"), ("lakeFS repository", "ok")]
    assert "main moves by merge only" in repository_of(url).found
    assert {"lakeFS server", "lakeFS repository"} <= {check.name for check in checks(url, {})}
    repository = open_repository(url)
    api = repository.sdk.repositories_api
    repository.call("unprotect", api.set_branch_protection_rules, repository.name, [])
    assert repository_of(url).state == "warn"
    assert "protect main in the repository's settings" in repository_of(url).fix


def test_what_is_not_there_is_made_where_a_place_is_named(
    lakefs_in_a_folder: LakeFSHomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = lakefs_in_a_folder.new_url()
    assert repository_of(url).state == "ok"
    assert "the first run makes" in repository_of(url).found
    monkeypatch.delenv("LAKEFS_STORAGE_NAMESPACE")
    assert repository_of(url).state == "fail"
    assert "LAKEFS_STORAGE_NAMESPACE=s3://bucket/lakefs" in repository_of(url).fix


def test_a_wrong_key_or_address_and_an_old_server_are_said_with_the_cure(
    lakefs_in_a_folder: LakeFSHomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = lakefs_in_a_folder.new_url()
    with monkeypatch.context() as patch:
        patch.setattr(Repository, "server_version", lambda _: "1.46.2")
        (line,) = lakefs_checks(url, None)
        assert (line.state, line.fix) == ("fail", "update it to 1.47 or later")
    with monkeypatch.context() as patch:
        patch.setenv("LAKEFS_SECRET_ACCESS_KEY", "not-the-secret")
        (line,) = lakefs_checks(url, None)
        assert line.state == "fail"
        assert "not-the-secret" not in f"{line.found} {line.fix}"
    with monkeypatch.context() as patch:
        patch.setenv("LAKEFS_ENDPOINT", "http://127.0.0.1:9")
        assert lakefs_checks(url, None)[0].state == "fail"
    monkeypatch.delenv("LAKEFS_ENDPOINT")
    assert "LAKEFS_ENDPOINT" in lakefs_checks(url, None)[0].found
