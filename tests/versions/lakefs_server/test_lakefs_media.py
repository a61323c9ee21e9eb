"""Lists, links to media outside the repository, imports: beyond the conformance suite."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lakefs_sdk
from services.lakefs_repo import Repo, s3_status_of, status_of


def test_listings_and_diffs_page_by_a_thousand_at_most(repo: Repo) -> None:
    names = [f"d/{i:04d}" for i in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: repo.link("main", path, f"{repo.server.external}/x"), names))
    for listed in (
        lambda **page: repo.api.objects_api.list_objects(repo.name, "main", **page),
        lambda **page: repo.api.branches_api.diff_branch(repo.name, "main", **page),
    ):
        first = listed(amount=1000)
        rest = listed(amount=1000, after=first.pagination.next_offset)
        assert [item.path for item in first.results + rest.results] == names
        assert (first.pagination.has_more, rest.pagination.has_more) == (True, False)
        assert len(listed().results) == 100

    def delete(paths: list[str]) -> None:
        gone = lakefs_sdk.PathList(paths=paths)
        repo.api.objects_api.delete_objects(repo.name, "main", gone)

    assert status_of(lambda: delete(names)) == 400
    delete(names[:1000])
    assert repo.paths("main") == names[1000:]


def test_a_delimiter_groups_and_a_page_goes_on_behind_a_group(repo: Repo) -> None:
    for path in ("a/1", "a/2", "b", "c/1"):
        repo.put("main", path)
    page = repo.api.objects_api.list_objects(repo.name, "main", delimiter="/", amount=1)
    assert [item.path for item in page.results] == ["a/"]
    assert repo.paths("main", delimiter="/", after=page.pagination.next_offset) == ["b", "c/"]
    diff = repo.api.branches_api.diff_branch(repo.name, "main", delimiter="/").results
    assert [(item.path, item.type) for item in diff] == [
        ("a/", "prefix_changed"),
        ("b", "added"),
        ("c/", "prefix_changed"),
    ]


def test_a_link_is_read_at_its_address_and_keeps_what_was_said_of_it(repo: Repo) -> None:
    address = repo.server.put_external("ab/cdef", b"0123456789")
    repo.link("main", "media/cat.jpg", address, size_bytes=10, content_type="image/jpeg")
    made = repo.commit()
    assert repo.read(made, "media/cat.jpg", range="bytes=3-3") == b"3"
    stats = repo.api.objects_api.stat_object(repo.name, made, "media/cat.jpg")
    assert (stats.checksum, stats.size_bytes, stats.content_type) == ("abc", 10, "image/jpeg")
    got = repo.gateway().get_object(Bucket=repo.name, Key=f"{made}/media/cat.jpg")
    assert got["Body"].read() == b"0123456789"


def test_a_link_to_nothing_is_taken_and_fails_when_it_is_read(repo: Repo) -> None:
    repo.link("main", "media/lost", f"{repo.server.external}/nothing")
    repo.commit()
    assert repo.paths("main") == ["media/lost"]
    assert status_of(lambda: repo.read("main", "media/lost")) == 410
    assert status_of(lambda: repo.read("main", "media/lost", range="bytes=0-0")) == 410
    key = {"Bucket": repo.name, "Key": "main/media/lost"}
    assert s3_status_of(lambda: repo.gateway().get_object(**key)) == 404


def test_a_link_outside_what_the_server_may_read_breaks_the_listing(repo: Repo) -> None:
    repo.link("main", "media/out", "local:///etc/hostname")
    if repo.server.storage.startswith("local://"):
        assert status_of(lambda: repo.read("main", "media/out")) == 403
        assert status_of(lambda: repo.paths("main")) == 500
    else:  # an S3 block store has no such prefixes: only reading fails
        assert status_of(lambda: repo.read("main", "media/out")) == 500
        assert repo.paths("main") == ["media/out"]
    repo.delete("main", "media/out")
    assert repo.paths("main") == []


def test_two_thousand_links_from_many_threads_all_land(repo: Repo) -> None:
    address = repo.server.put_external("one", b"abc")
    names = [f"media/{i:04d}" for i in range(2000)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda path: repo.link("main", path, address), names))
    made = repo.commit()
    first = repo.paths(made, amount=1000)
    assert first + repo.paths(made, amount=1000, after=first[-1]) == names


def test_presigned_addresses_come_from_an_s3_block_store_only(repo: Repo) -> None:
    address = repo.server.put_external("one", b"abc")
    repo.link("main", "a", address)
    config = repo.api.config_api.get_config().storage_config

    def stat() -> Any:
        return repo.api.objects_api.stat_object(repo.name, "main", "a", presign=True)

    if config.pre_sign_support:
        assert stat().physical_address.startswith("http")
    else:
        assert status_of(stat) == 400


def test_an_import_into_a_branch_with_staged_changes_fails_in_its_status(repo: Repo) -> None:
    prefix = f"in-{uuid.uuid4().hex}"
    repo.server.put_external(f"{prefix}/sub/1", b"1")
    source = f"{repo.server.external}/{prefix}/"
    repo.put("main", "dirty")
    status = repo.imported("main", "media", source)
    assert status.error is not None
    assert not status.completed
    repo.commit()
    assert repo.imported("main", "media", source).ingested_objects == 1
    assert repo.paths("main") == ["dirty", "media/sub/1"]


def test_importing_what_is_there_already_makes_a_commit_all_the_same(repo: Repo) -> None:
    prefix = f"in-{uuid.uuid4().hex}"
    repo.server.put_external(f"{prefix}/1", b"1")
    source = f"{repo.server.external}/{prefix}/"
    one, other = (repo.imported("main", "media/", source).commit.id for _ in range(2))
    assert one != other


def test_an_import_from_the_repositorys_own_namespace_is_refused(repo: Repo) -> None:
    own = f"{repo.server.storage}/{repo.name}/data/"
    assert status_of(lambda: repo.imported("main", "media/", own)) == 400
