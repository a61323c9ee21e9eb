"""kill -9 after any step of a run: main is whole, and the next run goes on; on all homes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path

from services.lakefs_homes import LakeFSHomes
from services.s3_endpoint import S3Bucket

WALK = Path(__file__).with_name("kill_walk.py")
IN_BUCKET = r"S3Store|BucketRefs|PackMirror|GitWorkspace"  # the rest is as in a folder
# A home is set up once: when its branch is to be deleted, what there was to do is done.
ON_LAKEFS = (
    r"(?!Repository.delete_branch setup)(?:S3Store|Repository|LakeFSWorkspace|LinkCalls|LanceTable)"
)


def walk(
    folder: Path, calm: str, walked: str, *, versions: str = "git", steps: str = "", **env: str
) -> Counter[str]:
    """Walk through all steps, and check every kill; returns how often each kind of step died."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(WALK), str(folder), calm, walked, versions, steps],
        env={**os.environ, "TRAINSET_STATE": str(folder / "state"), **env},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-4000:]}"
    *kills, end = [json.loads(line) for line in done.stdout.splitlines()]
    assert [kill for kill in kills if not kill["whole"]] == []
    assert end["missed"] == [], "steps that no run came to"
    assert (end["walked"]["media"], end["walked"]["runs"]) == (end["calm"]["media"], [])
    assert end["walked"]["rows"] == end["calm"]["rows"]
    return Counter(kill["step"].partition(".")[0] for kill in kills if kill["died"])


def test_in_a_folder(tmp_path: Path) -> None:
    died = walk(tmp_path / "work", "calm", "walked")
    assert {"LocalStore", "LanceTable", "FolderRefs", "GitWorkspace", "SqliteLedger"} <= died.keys()
    assert died.total() > 25


def test_in_a_bucket_and_no_medium_is_sent_twice(tmp_path: Path, s3_bucket: S3Bucket) -> None:
    homes = (f"{s3_bucket.url}/calm", f"{s3_bucket.url}/walked")
    died = walk(tmp_path / "work", *homes, steps=IN_BUCKET, **s3_bucket.endpoint.environment)
    assert {"S3Store", "BucketRefs", "PackMirror", "GitWorkspace"} == died.keys()
    versions = Counter(key for key, _ in s3_bucket.store("walked").iter_versions("media/"))
    assert len(versions) > 5
    assert set(versions.values()) == {1}


def test_on_lakefs(tmp_path: Path, lakefs_in_a_folder: LakeFSHomes) -> None:
    homes = (lakefs_in_a_folder.new_root(), lakefs_in_a_folder.new_root())
    versions = f"lakefs://t-{uuid.uuid4().hex[:12]}"
    died = walk(tmp_path / "work", *homes, versions=versions, steps=ON_LAKEFS)
    assert {"S3Store", "Repository", "LakeFSWorkspace", "LinkCalls", "LanceTable"} <= died.keys()
