"""One repository of a lakeFS server through lakefs-sdk, named as briefly as tests need."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import lakefs_sdk
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from lakefs_sdk import ApiException
from lakefs_sdk.client import LakeFSClient

from services.lakefs import LakeFSServer


class Repo:
    """A new repository; ``api`` is the whole client."""

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

    def imported(self, branch: str, destination: str, path: str) -> Any:
        """The status of an import when it has ended."""
        kind = "common_prefix" if path.endswith("/") else "object"
        where = lakefs_sdk.ImportLocation(type=kind, path=path, destination=destination)
        commit = lakefs_sdk.CommitCreation(message="i")
        body = lakefs_sdk.ImportCreation(paths=[where], commit=commit)
        started = self.api.import_api.import_start(self.name, branch, body).id
        while True:
            status = self.api.import_api.import_status(self.name, branch, started)
            if status.completed or status.error:
                return status
            threading.Event().wait(0.05)

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


def status_of(call: Callable[[], object]) -> int:
    with pytest.raises(ApiException) as caught:
        call()
    return int(caught.value.status)


def s3_status_of(call: Callable[[], object]) -> int:
    with pytest.raises(ClientError) as caught:
        call()
    return int(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])
