"""``verify`` finds a byte, an object or a row that is not what the commit says, on every store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from media_home import TABLES, dataset, publish, put_labels, put_media
from services.s3_endpoint import S3Endpoint
from version_rows import GIT, LAKEFS, ReopenHome

from trainset.home import Home
from trainset.identity import row_id
from trainset.stores import open_store
from trainset.tables.verify import verify_dataset
from trainset.versions.git import GitVersions
from trainset.versions.repository import GitBroken

BODIES = {f"cam/{n}.png": f"picture {n}".encode() for n in range(40)}
REACHABLE = [GIT[0], GIT[1], LAKEFS[1]]  # where a test can change the bytes behind a commit


def make(home: Home, tmp_path: Path) -> None:
    work = home.versions.begin("one")
    put_media(home, work, BODIES | {"cam/copy.png": b"picture 0"})
    put_labels(work, {"1": ("cam/0.png", "car"), "2": ("cam/1.png", "bus")})
    work.write("_meta/spec.yaml", b"name: x\n")
    (tmp_path / "part").write_bytes(b"p" * 1000)
    work.put_file("meta/boxes/all/part-1.parquet", tmp_path / "part")
    publish(work)
    home.versions.tag("v1")


def place(home: Home, path: str, endpoint: S3Endpoint | None) -> tuple[Any, str]:
    """The store and key of a commit's file: where its bytes really lie."""
    if isinstance(home.versions, GitVersions):
        return home.store, path
    assert endpoint is not None
    repository, commit = home.versions.repository, home.versions.resolve("v1").id
    entry = repository.stat(commit, path)
    bucket, _, key = entry.address.removeprefix("s3://").partition("/")
    return open_store(f"s3://{bucket}", endpoint.credentials), key


def test_a_sound_commit_is_found_sound(reopen_home: ReopenHome, tmp_path: Path) -> None:
    make(reopen_home(), tmp_path)
    home = reopen_home()
    work = home.versions.begin("two")
    put_media(home, work, {"cam/0.png": b"another"})
    publish(work)
    report = verify_dataset(dataset(reopen_home(), "v1"))
    assert report.faults == ()
    assert report.ok
    assert (report.media, report.checked, report.rows) == (40, 40, 43)
    assert report.files >= 6
    assert report.root_hash == report.recorded_root_hash
    assert report.notes == ()
    assert report.said == "no fault in all 40 media"


@pytest.mark.parametrize("reopen_home", REACHABLE, indirect=True)
def test_every_flipped_or_missing_file_and_medium_is_named(
    reopen_home: ReopenHome, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    home = reopen_home()
    make(home, tmp_path)
    endpoint = None
    if home.store.local_path("x") is None:
        endpoint = request.getfixturevalue("s3_endpoint")
    table = TABLES.open(home.versions.snapshot("v1").table("annotations"))
    (data,) = [path for path in table.files() if path.startswith("data/")]
    flipped, gone = f"tables/annotations/{data}", "meta/boxes/all/part-1.parquet"
    store, key = place(home, flipped, endpoint)
    body = store.get(key)
    replace(store, key, body[:10] + bytes([body[10] ^ 1]) + body[11:])
    store, key = place(home, gone, endpoint)
    store.delete(key)
    media = {r["key"]: r["uri"] for r in dataset(home).table("media").to_arrow().to_pylist()}
    replace(home.store, media["cam/3.png"], b"other")
    home.store.delete(media["cam/4.png"])

    report = verify_dataset(dataset(reopen_home(), "v1"))
    assert not report.ok
    assert {(f.key, f.kind) for f in report.faults} == {
        (flipped, "file"),
        (gone, "file"),
        ("cam/3.png", "checksum-mismatch"),
        ("cam/4.png", "not-found"),
    }
    assert all(";" in fault.reason for fault in report.faults), "each says what to do"
    assert report.said == "2 faults in all 40 media"


def replace(store: Any, key: str, body: bytes) -> None:
    if (path := store.local_path(key)) is not None:
        path.chmod(0o644)
        path.unlink()  # a hard link: the run's own copy stays as it is
    store.put(key, body)


def test_a_row_that_no_run_wrote_is_named(reopen_home: ReopenHome, tmp_path: Path) -> None:
    home = reopen_home()
    make(home, tmp_path)
    root = home.versions.resolve("v1").metadata["root"]
    work = home.versions.begin("odd")
    table = TABLES.open(work.table("media"))
    (fragment,) = table.fragments()
    other = pa.table(
        {"row_id": [row_id("cam/7.png")], "width": pa.array([999], pa.int32())}
    )  # and its fingerprint stays
    table.commit_fills([table.stage_fill(fragment, other)])
    TABLES.open(work.table("annotations")).delete("record_id = '2'")
    assert work.commit("odd", {"root": root})
    work.merge()
    report = verify_dataset(dataset(reopen_home()))
    assert [(f.key, f.kind) for f in report.faults] == [
        ("cam/7.png", "row"),
        ("root hash", "root-hash"),
    ]
    assert verify_dataset(dataset(reopen_home(), "v1")).ok


@pytest.mark.parametrize("reopen_home", GIT[:1], indirect=True)
def test_a_sample_is_drawn_by_its_seed_and_says_what_it_proves(
    reopen_home: ReopenHome, tmp_path: Path
) -> None:
    home = reopen_home()
    make(home, tmp_path)
    ds = dataset(home, "v1")
    few = verify_dataset(ds, sample=10, seed=3)
    assert (few.media, few.checked, few.seed) == (40, 10, 3)
    assert few.said == (
        "no fault in 10 of 40 media drawn at random (seed 3): with 95% confidence at most 9 of "
        "them (22.50%) are bad"
    )
    assert few == verify_dataset(ds, sample=10, seed=3)
    assert verify_dataset(ds, sample=0.25, seed=3) == few
    rows = ds.table("media").to_arrow().to_pylist()
    bad = {row["key"]: row for row in rows if row["key"] in ("cam/5.png", "cam/6.png")}
    for row in bad.values():
        replace(home.store, row["uri"], b"other")
    found = [len(verify_dataset(ds, sample=10, seed=seed).faults) for seed in range(30)]
    assert set(found) == {0, 1, 2}, "other seeds draw other media"
    assert verify_dataset(ds, sample=40).seed is None


@pytest.mark.parametrize("reopen_home", GIT[:1], indirect=True)
def test_a_damaged_pack_is_told_with_what_to_do(reopen_home: ReopenHome, tmp_path: Path) -> None:
    make(reopen_home(), tmp_path)
    for pack in (tmp_path / "home" / "repo.git" / "objects" / "pack").glob("*.pack"):
        body = bytearray(pack.read_bytes())
        pack.chmod(0o644)
        for at in range(12, len(body) - 20, 5):
            body[at] ^= 0x55
        pack.write_bytes(body)
    with pytest.raises(GitBroken, match="backup"):
        verify_dataset(dataset(reopen_home(), "v1"))
