"""``to: block:<name>``: flows look the place up, the library uses it, nothing writes it down."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prefect.client.orchestration import get_client
from services.s3_endpoint import S3Bucket
from services.tiny_source import COLUMNS, PICTURES, TinySource, make_tiny_source

from blocks import B2Credentials, LocalStore, MediaDestination
from flows import adhoc, adhoc_plan
from flows.__main__ import main
from flows.pipeline import pipeline
from trainset.model import RunSummary

NAME = "far-archive"


@pytest.fixture
def archive(prefect_server: str, s3_bucket: S3Bucket) -> S3Bucket:
    """A bucket that no variable of the environment opens; only its block does."""
    keys = s3_bucket.endpoint.credentials
    credentials = B2Credentials(
        key_id=keys.key_id, application_key=keys.application_key, endpoint=keys.endpoint
    )
    credentials.save(NAME, overwrite=True)
    MediaDestination(
        bucket_name=s3_bucket.name,
        bucket_folder="scenes",
        credentials=B2Credentials.load(NAME),
        requests_per_second=10_000,
    ).save(NAME, overwrite=True)
    return s3_bucket


def _tiny(tmp_path: Path, to: str) -> TinySource:
    tiny = make_tiny_source(tmp_path)
    routes = [{"name": "pictures", "mime": "image/*", "to": to}]
    tiny.write_spec(
        exports={},
        columns=COLUMNS,
        transfer={"routes": routes, "unmatched": "home", "verify": "L3"},
    )
    return tiny


def test_a_rule_sends_to_the_bucket_of_a_block_and_everything_reads_it_there(
    archive: S3Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in (adhoc, adhoc_plan):
        monkeypatch.setattr(module, "managed_server", nullcontext, raising=False)
    monkeypatch.setattr("flows.server.managed_server", nullcontext)
    tiny = _tiny(tmp_path, f"block:{NAME}")
    spec = str(tiny.spec_file)

    assert main(["plan-transfer", spec, "--format", "json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["elsewhere"]["files"] == 0, "a bucket, not a folder"
    (rule,) = [line for line in plan["rules"] if line["name"] == "pictures"]
    assert rule["to"] == f"block:{NAME}"

    summary = pipeline(spec)
    assert isinstance(summary, RunSummary)
    assert summary.transfer.balances
    assert summary.cells.computed == 3 * PICTURES, "computing reads the bucket by its own key"
    rows = tiny.media_rows()
    prefix = f"s3://{archive.name}/scenes/media/"
    assert all(row["uri"].startswith(prefix) for key, row in rows.items() if key.endswith(".png"))
    assert len(list(archive.store("scenes").list("media/"))) == PICTURES + 1  # and the broken one

    assert main(["verify-transfer", spec, "--level", "L3"]) == 0
    assert f"{PICTURES + 2} L3 clean" in capsys.readouterr().out
    assert pipeline(spec).status == "unchanged"
    _nothing_tells(archive, tiny)


def _nothing_tells(archive: S3Bucket, tiny: TinySource) -> None:
    """No file of the home, no parameter and no state holds the key or where the block leads."""
    secret = archive.endpoint.credentials.application_key.get_secret_value()
    for path in tiny.root.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    with get_client(sync_client=True) as client:
        runs = [*client.read_flow_runs(limit=20), *client.read_task_runs(limit=200)]
    assert runs
    for run in runs:
        told = run.model_dump_json()
        assert secret not in told
        assert urlsplit(archive.endpoint.credentials.endpoint).netloc not in told


@pytest.mark.usefixtures("prefect_server")
def test_a_block_may_be_a_folder(tmp_path: Path) -> None:
    LocalStore(folder=tmp_path / "nas").save("far-nas", overwrite=True)
    tiny = _tiny(tmp_path, "block:local-store/far-nas")
    summary = pipeline(str(tiny.spec_file))
    assert isinstance(summary, RunSummary)
    assert summary.cells.computed == 3 * PICTURES
    rows = tiny.media_rows()
    assert rows["00.png"]["uri"].startswith(str(tmp_path / "nas" / "media"))


@pytest.mark.usefixtures("prefect_server")
def test_a_block_that_is_not_there_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    tiny = _tiny(tmp_path, "block:nobody")
    with pytest.raises(Exception, match="media-destination/nobody"):
        pipeline(str(tiny.spec_file))
    assert not (tmp_path / "home" / "runs").exists()
