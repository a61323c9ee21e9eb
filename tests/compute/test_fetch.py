"""The first read of a medium that was adopted unread: large ones, changed ones, broken networks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from services.s3_endpoint import S3Bucket
from services.tiny_source import picture

from trainset.compute import fetch as fetching
from trainset.compute.fetch import fetch
from trainset.compute.plan import DueRow
from trainset.errors import ChecksumMismatch, VersionGone
from trainset.home import Home, open_home

DATA = picture(7)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def home(s3_bucket: S3Bucket, tmp_path: Path) -> Home:
    credentials = s3_bucket.endpoint.credentials
    return open_home(str(tmp_path / "home"), credentials=credentials, create=True)


def due(uri: str, version_id: str | None, sha256: str | None = None) -> DueRow:
    return DueRow("id", "raw/a.png", uri, version_id, sha256, "image/png", "image", len(DATA))


@pytest.mark.parametrize("limit", [0, 64 * 2**20])
def test_bytes_of_the_pinned_version_are_hashed_as_they_are_read(
    home: Home, s3_bucket: S3Bucket, tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "IN_MEMORY_BYTES", limit)
    store = s3_bucket.store()
    pin = store.put("a.png", DATA).version_id
    store.put("a.png", picture(8))
    got = fetch(home, due(store.uri("a.png"), pin), tmp_path)
    assert isinstance(got.data, bytes) == bool(limit), "a large one is a local file"
    assert (got.data if isinstance(got.data, bytes) else got.data.read_bytes()) == DATA
    assert got.remove == (got.data if isinstance(got.data, Path) else None)
    assert got.found is not None
    assert got.found.sha256 == SHA256
    assert got.found.facts is not None
    assert (got.found.facts.width, got.found.facts.unreadable) == (64, None)


@pytest.mark.parametrize("limit", [0, 64 * 2**20])
def test_a_large_file_of_a_folder_is_hashed_where_it_lies(
    home: Home, tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "IN_MEMORY_BYTES", limit)
    path = tmp_path / "a.png"
    path.write_bytes(DATA)
    pin = f"mtime:{path.stat().st_mtime_ns}"
    got = fetch(home, due(str(path), pin), tmp_path)
    assert got.remove is None
    assert got.found is not None
    assert got.found.sha256 == SHA256
    with pytest.raises(VersionGone):
        fetch(home, due(str(path), "mtime:1"), tmp_path)


@pytest.mark.parametrize("limit", [0, 64 * 2**20])
def test_bytes_that_are_not_what_the_metadata_said_are_not_used(
    home: Home, s3_bucket: S3Bucket, tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "IN_MEMORY_BYTES", limit)
    store = s3_bucket.store()
    pin = store.put("a.png", DATA).version_id
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(ChecksumMismatch):
        fetch(home, due(store.uri("a.png"), pin, "0" * 64), scratch)
    assert list(scratch.iterdir()) == []
    assert fetch(home, due(store.uri("a.png"), pin, SHA256), scratch).found is None
