"""Exports of a home in a bucket: built here, put there, the manifest last."""

from __future__ import annotations

from pathlib import Path

import pytest
from services.s3_endpoint import S3Bucket
from services.small_home import SmallHome, make_small_home

from trainset.export import run_export, verify_export
from trainset.spec import ExportSpec

SPEC = ExportSpec(format="webdataset")


@pytest.fixture
def bucket_home(s3_bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallHome:
    monkeypatch.setenv("TRAINSET_STATE", str(tmp_path / "state"))
    return make_small_home(f"{s3_bucket.url}/demo", s3_bucket.endpoint.credentials)


def fetch(small: SmallHome, name: str, folder: Path) -> Path:
    for info in small.home.store.list(f"exports/{name}/"):
        target = folder / info.key
        target.parent.mkdir(parents=True, exist_ok=True)
        small.home.store.fetch_file(info.key, target)
    return folder / "exports" / name


def test_a_bucket_holds_the_same_export_as_a_folder(
    bucket_home: SmallHome, small_home: SmallHome, tmp_path: Path
) -> None:
    there = run_export(bucket_home.open("v1"), "out", SPEC).result
    here = run_export(small_home.open("v1"), "out", SPEC).result
    assert there.sha256 == here.sha256
    fetched = fetch(bucket_home, "out", tmp_path / "fetched")
    assert verify_export(fetched) == []
    local = Path(small_home.home.url) / "exports" / "out"
    for shard in local.glob("*.tar"):
        assert (fetched / shard.name).read_bytes() == shard.read_bytes()
    assert not (bucket_home.home.state / "exports" / "out.building").exists()


def test_another_export_of_the_name_leaves_no_old_file(
    bucket_home: SmallHome, tmp_path: Path
) -> None:
    run_export(bucket_home.open(), "out", SPEC)
    assert run_export(bucket_home.open(), "out", SPEC).reused
    run_export(bucket_home.open(), "out", ExportSpec(format="huggingface"))
    fetched = fetch(bucket_home, "out", tmp_path / "fetched")
    assert verify_export(fetched) == []


def test_without_its_manifest_an_export_is_made_again(bucket_home: SmallHome) -> None:
    run_export(bucket_home.open(), "out", SPEC)
    bucket_home.home.store.delete("exports/out/manifest.json")
    assert not run_export(bucket_home.open(), "out", SPEC).reused
