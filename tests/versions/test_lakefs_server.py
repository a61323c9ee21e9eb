"""What trainset leans on beyond the conformance suite, on every lakeFS server at hand.

The fake is always one of them: what holds for a real server is proven to hold for it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import lakefs_sdk
import lance
import pyarrow as pa
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from lakefs_sdk import ApiException
from lakefs_sdk.client import LakeFSClient
from services import lakefs
from services.lakefs import LakeFSServer
from services.lakefs_fake.blocks import S3Blocks


@pytest.fixture(scope="module", params=lakefs.choices(), ids="-".join)
def server(request: pytest.FixtureRequest) -> Iterator[LakeFSServer]:
    kind, blocks = request.param
    endpoint = request.getfixturevalue("s3_endpoint") if blocks == "bucket" else None
    bucket = endpoint.new_bucket() if endpoint else None
    with lakefs.lakefs_server(kind, bucket=bucket) as running:
        yield running


class Repo:
    """One repository through lakefs-sdk, named as briefly as the tests need."""

    def __init__(self, server: LakeFSServer) -> None:
        self.server = server
        self.name = f"t-{uuid.uuid4().hex[:12]}"
        self.api = LakeFSClient(
            lakefs_sdk.Configuration(
                host=f"{server.endpoint}/api/v1", username=server.key_id, password=server.secret
            )
        )
        self.create(self.name, self.name)

    def create(self, name: str, namespace: str) -> None:
        self.api.repositories_api.create_repository(
            lakefs_sdk.RepositoryCreation(
                name=name, storage_namespace=f"{self.server.storage}/{namespace}"
            )
        )

    def put(self, branch: str, path: str, data: bytes = b"x", **options: Any) -> None:
        self.api.objects_api.upload_object(self.name, branch, path, content=data, **options)

    def delete(self, branch: str, path: str) -> None:
        self.api.objects_api.delete_object(self.name, branch, path)

    def commit(self, branch: str = "main", **fields: Any) -> str:
        made = lakefs_sdk.CommitCreation(message="m", **fields)
        return str(self.api.commits_api.commit(self.name, branch, made).id)

    def branch(self, name: str, source: str = "main") -> None:
        made = lakefs_sdk.BranchCreation(name=name, source=source)
        self.api.branches_api.create_branch(self.name, made)

    def merge(self, source: str, target: str = "main", **fields: Any) -> str:
        wanted = lakefs_sdk.Merge(**fields)
        merged = self.api.refs_api.merge_into_branch(self.name, source, target, merge=wanted)
        return str(merged.reference)

    def tag(self, name: str, ref: str) -> None:
        self.api.tags_api.create_tag(self.name, lakefs_sdk.TagCreation(id=name, ref=ref))

    def revert(self, ref: str, parent: int = 0) -> None:
        wanted = lakefs_sdk.RevertCreation(ref=ref, parent_number=parent)
        self.api.branches_api.revert_branch(self.name, "main", wanted)

    def paths(self, ref: str, **options: Any) -> list[str]:
        listed = self.api.objects_api.list_objects(self.name, ref, **options)
        return [item.path for item in listed.results]

    def conflicts(self, left: str, right: str) -> dict[str, str]:
        found = self.api.refs_api.diff_refs(self.name, left, right, type="three_dot")
        return {item.path: item.type for item in found.results}

    def link(self, branch: str, path: str, address: str, **fields: Any) -> None:
        self.api.staging_api.link_physical_address(
            self.name,
            branch,
            path,
            lakefs_sdk.StagingMetadata(
                staging=lakefs_sdk.StagingLocation(physical_address=address),
                **{"checksum": "abc", "size_bytes": 3, **fields},
            ),
        )

    def read(self, ref: str, path: str, **options: Any) -> bytes:
        return bytes(self.api.objects_api.get_object(self.name, ref, path, **options))

    def gateway(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.server.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.server.key_id,
            aws_secret_access_key=self.server.secret,
            config=Config(
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                request_checksum_calculation="when_required",
            ),
        )


@pytest.fixture
def repo(server: LakeFSServer) -> Iterator[Repo]:
    made = Repo(server)
    yield made
    made.api.repositories_api.delete_repository(made.name)


def status_of(call: Callable[[], object]) -> int:
    with pytest.raises(ApiException) as caught:
        call()
    return int(caught.value.status)


def s3_status_of(call: Callable[[], object]) -> int:
    with pytest.raises(ClientError) as caught:
        call()
    return int(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])


# -- staging and refs


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


# -- merges


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


# -- lists


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


# -- media outside the repository


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


def imported(repo: Repo, branch: str, destination: str, path: str) -> Any:
    kind = "common_prefix" if path.endswith("/") else "object"
    where = lakefs_sdk.ImportLocation(type=kind, path=path, destination=destination)
    body = lakefs_sdk.ImportCreation(paths=[where], commit=lakefs_sdk.CommitCreation(message="i"))
    started = repo.api.import_api.import_start(repo.name, branch, body).id
    while True:
        status = repo.api.import_api.import_status(repo.name, branch, started)
        if status.completed or status.error:
            return status
        threading.Event().wait(0.05)


def test_an_import_into_a_branch_with_staged_changes_fails_in_its_status(repo: Repo) -> None:
    prefix = f"in-{uuid.uuid4().hex}"
    repo.server.put_external(f"{prefix}/sub/1", b"1")
    source = f"{repo.server.external}/{prefix}/"
    repo.put("main", "dirty")
    status = imported(repo, "main", "media", source)
    assert status.error is not None
    assert not status.completed
    repo.commit()
    assert imported(repo, "main", "media", source).ingested_objects == 1
    assert repo.paths("main") == ["dirty", "media/sub/1"]


def test_importing_what_is_there_already_makes_a_commit_all_the_same(repo: Repo) -> None:
    prefix = f"in-{uuid.uuid4().hex}"
    repo.server.put_external(f"{prefix}/1", b"1")
    source = f"{repo.server.external}/{prefix}/"
    one, other = (imported(repo, "main", "media/", source).commit.id for _ in range(2))
    assert one != other


def test_an_import_from_the_repositorys_own_namespace_is_refused(repo: Repo) -> None:
    own = f"{repo.server.storage}/{repo.name}/data/"
    assert status_of(lambda: imported(repo, "main", "media/", own)) == 400


# -- the gateway


def test_of_many_conditional_writes_of_one_key_one_wins(repo: Repo) -> None:
    gateway = repo.gateway()

    def put(number: int) -> int:
        try:
            key = {"Bucket": repo.name, "Key": "main/k"}
            gateway.put_object(**key, Body=b"%d" % number, IfNoneMatch="*")
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return 200

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(put, range(8)))
    assert sorted(found) == [200] + [412] * 7
    assert repo.read("main", "k") == b"%d" % found.index(200)


def test_a_delete_at_a_tag_says_yes_and_does_nothing(repo: Repo) -> None:
    repo.put("main", "a")
    repo.commit()
    repo.tag("v1", "main")
    gateway = repo.gateway()
    gateway.delete_object(Bucket=repo.name, Key="v1/a")
    gateway.delete_objects(Bucket=repo.name, Delete={"Objects": [{"Key": "v1/a"}]})
    assert repo.paths("v1") == ["a"]


def test_a_list_without_a_slash_gives_the_branches(repo: Repo) -> None:
    repo.branch("r")
    found = repo.gateway().list_objects_v2(Bucket=repo.name)
    assert [item["Prefix"] for item in found["CommonPrefixes"]] == ["main/", "r/"]
    assert (
        s3_status_of(lambda: repo.gateway().list_objects_v2(Bucket=repo.name, Prefix="no/")) == 400
    )


def test_a_protected_branch_refuses_the_gateway_too_and_takes_imports(repo: Repo) -> None:
    rules = [lakefs_sdk.BranchProtectionRule(pattern="ma*")]
    repo.api.repositories_api.set_branch_protection_rules(repo.name, rules)
    prefix = f"in-{uuid.uuid4().hex}"
    repo.server.put_external(f"{prefix}/1", b"1")
    gateway = repo.gateway()
    assert s3_status_of(lambda: gateway.put_object(Bucket=repo.name, Key="main/a", Body=b"")) == 403
    assert status_of(lambda: repo.link("main", "a", f"{repo.server.external}/x")) == 403
    assert status_of(lambda: repo.commit(allow_empty=True)) == 403
    gone = lakefs_sdk.PathList(paths=["a"])
    errors = repo.api.objects_api.delete_objects(repo.name, "main", gone).errors
    assert [error.status_code for error in errors] == [403]
    assert imported(repo, "main", "m/", f"{repo.server.external}/{prefix}/").completed


def test_a_lance_file_of_many_megabytes_goes_up_in_parts(repo: Repo) -> None:
    options = {
        "aws_endpoint": repo.server.endpoint,
        "aws_region": "us-east-1",
        "aws_access_key_id": repo.server.key_id,
        "aws_secret_access_key": repo.server.secret,
        "allow_http": "true",
        "aws_virtual_hosted_style_request": "false",
    }
    data = pa.table({"id": range(12), "blob": [bytes([i]) * 2**20 for i in range(12)]})
    uri = f"s3://{repo.name}/main/tables/big"
    lance.write_dataset(data, uri, storage_options=options)
    made = repo.commit()
    read = lance.dataset(f"s3://{repo.name}/{made}/tables/big", storage_options=options)
    assert read.take([11]).to_pylist() == [{"id": 11, "blob": bytes([11]) * 2**20}]


def test_the_fake_uses_a_bucket_on_loopback_only() -> None:
    with pytest.raises(ValueError, match="loopback only"):
        S3Blocks("https://s3.example.com", "key", "secret")
