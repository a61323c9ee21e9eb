"""The whole way in reference mode: rows, cells, exports, versions and verify over a bucket."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from services.s3_endpoint import S3Bucket
from services.tiny_source import COLUMNS, EXPORTS, picture

from trainset.dataset import Dataset
from trainset.dataset import open as open_dataset
from trainset.errors import InputError
from trainset.model import RunSummary
from trainset.run.estimate import estimate_run
from trainset.run.local import run_pipeline
from trainset.run.plan_report import PlanReport, plan_report
from trainset.run.plan_text import plan_text
from trainset.spec import DatasetSpec, parse_spec
from trainset.stores.s3 import S3Store
from trainset.tables.verify import verify_dataset

BROKEN = b"\xff\xd8\xff\xe0 cut off"


@dataclass(frozen=True)
class Lab:
    """A bucket of raw media below ``2026/``, and the dataset that adopts them."""

    bucket: S3Bucket
    folder: Path
    spec: DatasetSpec

    @property
    def store(self) -> S3Store:
        return self.bucket.store("2026")

    @property
    def home(self) -> Path:
        return Path(self.spec.home)

    def put(self, name: str, data: bytes) -> str:
        """As other tools write objects, without our metadata; returns the version id."""
        version: str = self.store.named("put_object", name, Body=data)["VersionId"]
        return version

    def run(self) -> RunSummary:
        return run_pipeline(self.spec, credentials=self.bucket.endpoint.credentials)

    def open(self, ref: str = "main") -> Dataset:
        return open_dataset(self.spec.home, ref, credentials=self.bucket.endpoint.credentials)

    def rows(self, ref: str = "main") -> dict[str, dict[str, Any]]:
        rows = self.open(ref).table("media").to_arrow().to_pylist()
        return {row["key"].removeprefix("raw/"): row for row in rows}

    def samples(self) -> dict[str, bytes]:
        """The exported media by sha256, as the export's own list names them."""
        folder = self.home / "exports" / "shards"
        listed = [json.loads(line) for line in (folder / "samples.jsonl").open()]
        held: dict[str, bytes] = {}
        for shard in folder.glob("*.tar"):
            with tarfile.open(fileobj=io.BytesIO(shard.read_bytes())) as tar:
                for member in tar.getmembers():
                    if member.name.endswith(".png"):
                        file = tar.extractfile(member)
                        assert file is not None
                        held[member.name.split(".")[0]] = file.read()
        return {sample["sha256"]: held[sample["row_id"]] for sample in listed}


@pytest.fixture
def lab(s3_bucket: S3Bucket, tmp_path: Path) -> Lab:
    return make_lab(s3_bucket, tmp_path)


def make_lab(bucket: S3Bucket, folder: Path, *, hashed: bool = True, **changes: Any) -> Lab:
    source = {"name": "raw", "from": f"{bucket.url}/2026", "mode": "reference", "hash": hashed}
    fields = {
        "name": "lab",
        "home": "home",
        "media": [source],
        "columns": COLUMNS,
        "exports": EXPORTS,
    }
    lab = Lab(bucket, folder, parse_spec(fields | changes, folder=folder))
    for number in range(5):
        lab.put(f"{number}.png", picture(number))
    lab.put("broken.jpg", BROKEN)
    return lab


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_bucket_becomes_a_dataset_without_a_copy(lab: Lab) -> None:
    summary = lab.run()
    assert summary.status == "completed", summary.error
    assert (summary.transfer.planned, summary.transfer.bytes) == (6, 0)
    assert summary.cells.computed == 15
    assert [item.kind for item in summary.left_out] == ["unreadable"]
    assert not (lab.home / "media").exists()
    rows = lab.rows()
    assert rows["0.png"]["uri"] == f"s3://{lab.bucket.name}/2026/0.png"
    assert rows["broken.jpg"]["unreadable"]
    assert set(lab.samples().values()) == {picture(n) for n in range(5)}
    report = verify_dataset(lab.open())
    assert (report.ok, report.checked, report.unhashed) == (True, 6, 0)
    assert lab.run().status == "unchanged"


def test_an_overwritten_object_is_a_new_row_version_and_the_old_tag_reads_the_old_bytes(
    lab: Lab,
) -> None:
    first = lab.run()
    assert first.tag is not None
    lab.put("0.png", picture(100))
    lab.store.delete("1.png")
    second = lab.run()
    assert (second.status, second.cells.computed) == ("completed", 3)
    new, old = lab.rows(), lab.rows(first.tag)
    assert new["0.png"]["version_id"] != old["0.png"]["version_id"]
    assert new["1.png"]["source_state"] == "missing"
    for row, data in ((new["0.png"], picture(100)), (old["0.png"], picture(0))):
        assert lab.open().read_media(row["uri"], row["version_id"]) == data
        assert row["sha256"] == sha256(data)
    assert new["0.png"]["phash"] != old["0.png"]["phash"]
    assert verify_dataset(lab.open(first.tag)).ok
    assert verify_dataset(lab.open()).ok, "a hidden object is there still"


def test_a_deleted_version_is_a_fault_that_verify_and_the_export_name(lab: Lab) -> None:
    first = lab.run()
    row = lab.rows()["2.png"]
    which = {"VersionId": row["version_id"]}
    lab.store.request("delete", "", lambda: lab.store.named("delete_object", "2.png", **which))
    [fault] = verify_dataset(lab.open(str(first.tag))).faults
    assert (fault.key, fault.kind) == ("raw/2.png", "version-gone")
    assert row["version_id"] in fault.reason


def _expire(lab: Lab, name: str, version_id: str) -> None:
    """As a lifecycle rule does to a version that is not the newest."""
    which = {"VersionId": version_id}
    lab.store.request("delete", "", lambda: lab.store.named("delete_object", name, **which))


def _events(lab: Lab, name: str) -> list[dict[str, Any]]:
    """What the newest run tells of a file."""
    story = lab.open().trace(f"raw/{name}").story
    return [h.facts for h in story if h.run_id == story[-1].run_id]


def test_a_pin_that_expired_is_renewed_by_the_next_run_which_says_so(lab: Lab) -> None:
    first = lab.run()
    old = lab.rows()["2.png"]
    lab.put("2.png", picture(2))  # the same bytes: size and ETag stay as they were
    assert lab.run().status == "unchanged", "the pinned version is there still"
    _expire(lab, "2.png", old["version_id"])
    second = lab.run()
    assert (second.status, second.transfer.bytes) == ("completed", 0)
    assert second.transfer.planned == 6
    new = lab.rows()["2.png"]
    assert new["version_id"] not in (None, old["version_id"])
    assert (new["sha256"], new["phash"]) == (old["sha256"], old["phash"])
    assert lab.open().read_media(new["uri"], new["version_id"]) == picture(2)
    assert verify_dataset(lab.open()).ok
    (adopted,) = [e for e in _events(lab, "2.png") if e["type"] == "ADOPT"]
    assert (adopted["kind"], adopted["version_id"]) == ("repinned", new["version_id"])
    assert f"version {old['version_id']} has expired or was deleted" in adopted["reason"]
    assert "pinned anew" in " ".join(h.text for h in lab.open().trace("raw/2.png").story)
    [fault] = verify_dataset(lab.open(str(first.tag))).faults
    assert fault.kind == "version-gone", "older commits cannot be helped, and verify names it"
    assert lab.run().status == "unchanged"


def test_a_replaced_object_is_pinned_anew_and_the_old_version_is_said_to_stay(lab: Lab) -> None:
    lab.run()
    old = lab.rows()["0.png"]["version_id"]
    lab.put("0.png", picture(100))
    lab.run()
    (adopted,) = [e for e in _events(lab, "0.png") if e["type"] == "ADOPT"]
    assert adopted["kind"] == "repinned"
    assert f"version {old} was replaced at its source, and is kept" in adopted["reason"]


def test_a_bucket_whose_pins_all_stand_costs_one_listing_more_and_no_look(lab: Lab) -> None:
    lab.run()
    lab.bucket.proxy.reset()
    assert lab.run().status == "unchanged"
    asked = [r for r in lab.bucket.proxy.requests if "versions" in r.query.split("&")]
    assert len(asked) == 1
    assert lab.bucket.proxy.counts["HEAD"] == 0


def test_a_dry_run_says_what_is_adopted_read_and_pinned_anew(lab: Lab) -> None:
    keys = lab.bucket.endpoint.credentials
    size = sum(len(picture(n)) for n in range(5)) + len(BROKEN)

    def plan() -> PlanReport:
        return plan_report(lab.spec, keys, now=datetime.now(UTC))

    new = plan()
    assert (new.adopting.files, new.adopting.bytes, new.read_in_place.bytes) == (6, size, size)
    assert (new.repinning, new.cost.requests.A) == (0, 0)
    assert "plan: 0 files (0 B) to move, 6 to adopt in place" in new.said
    assert "6 files to adopt in place" in estimate_run(lab.spec, keys).text()
    lab.run()
    old = lab.rows()["2.png"]["version_id"]
    lab.put("2.png", picture(2))
    _expire(lab, "2.png", old)
    lab.put("0.png", picture(100))
    again = plan()
    assert (again.adopting.files, again.repinning, again.there.files) == (2, 2, 4)
    assert "pinned anew" in plan_text(again)
    estimate = estimate_run(lab.spec, keys)
    assert (estimate.files, estimate.adopting, estimate.repinning) == (0, 2, 2)


def test_computing_fills_in_what_adopting_unread_left_open(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    lab = make_lab(s3_bucket, tmp_path, hashed=False)
    lab.put("copy of 0.png", picture(0))
    lab.put("sound.png", b"RIFF\0\0\0\0WAVEfmt no sound either")
    first = lab.run()
    assert first.status == "completed", first.error
    assert (first.cells.computed, first.cells.cached, first.cells.failed) == (15, 3, 0)
    rows = lab.rows()
    for number in range(5):
        row = rows[f"{number}.png"]
        assert row["sha256"] == sha256(picture(number))
        assert (row["width"], row["height"], row["unreadable"]) == (64, 48, None)
        assert row["phash"] is not None
    assert rows["broken.jpg"]["unreadable"], "found out as it was read"
    assert rows["broken.jpg"]["phash__err"] is None, "a broken medium has no cells"
    assert rows["sound.png"]["mime"] == "audio/wav"
    report = verify_dataset(lab.open())
    assert (report.ok, report.unhashed, report.notes) == (True, 0, ())
    second = lab.run()
    assert second.status == "unchanged", "neither rows nor cells are stale by it"
    hashed = make_lab(replace_bucket(s3_bucket), tmp_path / "other")
    hashed.run()
    assert lab.rows()["0.png"]["phash"] == hashed.rows()["0.png"]["phash"]


def replace_bucket(bucket: S3Bucket) -> S3Bucket:
    return replace(bucket, name=bucket.endpoint.new_bucket().name)


def test_content_that_turns_out_to_be_known_takes_its_cells_from_the_cache(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    lab = make_lab(s3_bucket, tmp_path, hashed=False)
    lab.run()
    lab.put("again.png", picture(3))
    summary = lab.run()
    assert (summary.cells.computed, summary.cells.cached) == (0, 3)
    assert lab.rows()["again.png"]["sha256"] == sha256(picture(3))


def test_an_export_without_computed_columns_hashes_as_it_reads(
    s3_bucket: S3Bucket, tmp_path: Path
) -> None:
    lab = make_lab(s3_bucket, tmp_path, hashed=False, columns={})
    summary = lab.run()
    assert summary.status == "completed", summary.error
    assert lab.rows()["0.png"]["sha256"] is None
    lab_samples = {s: d for s, d in lab.samples().items() if d != BROKEN}
    assert lab_samples == {sha256(picture(n)): picture(n) for n in range(5)}
    report = verify_dataset(lab.open())
    assert (report.ok, report.unhashed) == (True, 6)
    assert "image_info" in report.notes[0], "says how to get the sha256s"
    assert lab.run().status == "unchanged"


def test_a_bucket_that_expires_versions_is_refused_before_anything_is_written(lab: Lab) -> None:
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}}
    lab.bucket.endpoint._direct.put_bucket_lifecycle_configuration(
        Bucket=lab.bucket.name,
        LifecycleConfiguration={
            "Rules": [rule | {"NoncurrentVersionExpiration": {"NoncurrentDays": 3}}]
        },
    )
    with pytest.raises(InputError, match="'tidy' removes old versions of objects"):
        lab.run()
