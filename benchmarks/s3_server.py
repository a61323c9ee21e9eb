"""The S3 server that benchmarks run against: the user's, or a Ceph gateway started for the run."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from trainset.model import Credentials
from trainset.stores.endpoint import region_of
from trainset.stores.s3_client import make_client

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


@dataclass(frozen=True)
class Bucket:
    """A bucket and what clients need to reach it."""

    name: str
    credentials: Credentials

    @property
    def environment(self) -> dict[str, str]:
        """The keys under the names that trainset, the AWS tools, s5cmd and rclone read."""
        key, secret = self.credentials.key_id, self.credentials.application_key.get_secret_value()
        endpoint = self.credentials.endpoint
        return {
            "B2_KEY_ID": key,
            "B2_APPLICATION_KEY": secret,
            "TRAINSET_S3_ENDPOINT": endpoint,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": region_of(endpoint),
            "AWS_REGION": region_of(endpoint),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
            "RCLONE_CONFIG_BENCH_TYPE": "s3",
            "RCLONE_CONFIG_BENCH_PROVIDER": "Other",
            "RCLONE_CONFIG_BENCH_ENDPOINT": endpoint,
            "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID": key,
            "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY": secret,
        }

    def clear(self, prefix: str = "") -> None:
        """Delete all versions of all objects below ``prefix``."""
        client = make_client(self.credentials)
        pages = client.get_paginator("list_object_versions").paginate(
            Bucket=self.name, Prefix=prefix
        )

        def delete(version: dict[str, str]) -> None:
            which = {"Key": version["Key"], "VersionId": version["VersionId"]}
            client.delete_object(Bucket=self.name, **which)

        with ThreadPoolExecutor(16) as pool:
            for page in pages:
                list(pool.map(delete, (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))))


@contextmanager
def bench_bucket() -> Iterator[Bucket]:
    """A new bucket, removed afterwards. Raises SystemExit where no server is to be had."""
    endpoint = os.environ.get("TRAINSET_S3_ENDPOINT")
    if endpoint:
        key, secret = os.environ["B2_KEY_ID"], os.environ["B2_APPLICATION_KEY"]
        yield from _bucket(key, secret, endpoint)
        return
    from services import rgw

    if not rgw.installed():
        raise SystemExit(f"no S3 server: set TRAINSET_S3_ENDPOINT, or run: {rgw.INSTALL}")
    server = rgw.Rgw(memory_bytes=6 * 2**30)
    try:
        yield from _bucket(rgw.KEY_ID, rgw.SECRET, server.url)
    finally:
        server.stop()


def _bucket(key: str, secret: str, endpoint: str) -> Iterator[Bucket]:
    credentials = Credentials(key_id=key, application_key=SecretStr(secret), endpoint=endpoint)
    bucket = Bucket(f"bench-{uuid.uuid4().hex[:12]}", credentials)
    client = make_client(credentials)
    client.create_bucket(Bucket=bucket.name)
    try:
        yield bucket
    finally:
        bucket.clear()
        client.delete_bucket(Bucket=bucket.name)
