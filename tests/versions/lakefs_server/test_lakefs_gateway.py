"""The S3 gateway where trainset leans on it, beyond the conformance suite."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import lakefs_sdk
import lance
import pyarrow as pa
import pytest
from botocore.exceptions import ClientError
from services.lakefs_fake.blocks import S3Blocks
from services.lakefs_repo import Repo, s3_status_of, status_of


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
    assert repo.imported("main", "m/", f"{repo.server.external}/{prefix}/").completed


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
