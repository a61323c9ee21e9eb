"""What all rooms' tests share: the test services, and one S3 endpoint a session."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # makes `services` importable

from services import s3_endpoint as s3_service


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[s3_service.S3Endpoint]:
    """A real S3 server (Ceph; else moto) behind the B2-strict proxy."""
    endpoint = s3_service.start()
    yield endpoint
    endpoint.stop()


@pytest.fixture
def s3_bucket(s3_endpoint: s3_service.S3Endpoint) -> Iterator[s3_service.S3Bucket]:
    """A new bucket; the proxy's counts and faults start from nothing."""
    bucket = s3_endpoint.new_bucket()
    s3_endpoint.proxy.reset()
    yield bucket
    s3_endpoint.proxy.reset()
