"""The doctor finds what is wrong, names the cure, and shows no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from flows.doctor import checks, run_doctor
from flows.doctor_bucket import bucket_checks, judge_bucket
from flows.doctor_check import Check
from trainset.model import Credentials
from trainset.stores.s3_client import make_client
from trainset.stores.s3_probe import BucketFacts, probe_bucket

ENDPOINT = "https://s3.eu-central-003.backblazeb2.com"
SECRET = "K003-very-secret"
SET = {
    "B2_KEY_ID": "0030f1e2d3c4b5a6000000001",
    "B2_APPLICATION_KEY": SECRET,
    "TRAINSET_S3_ENDPOINT": ENDPOINT,
}
NOW = datetime.now(UTC)


def _by_name(found: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


def test_every_line_that_is_not_ok_says_what_to_do(tmp_path: Path) -> None:
    found = checks(str(tmp_path / "home"), {"B2_KEY_ID": "x"})
    assert all(check.fix for check in found if check.state != "ok")
    assert all(check.found for check in found)
    named = _by_name(found)
    assert named["packages"].state == "ok", named["packages"]
    assert named["credentials"].state == "fail"
    assert "B2_APPLICATION_KEY=… TRAINSET_S3_ENDPOINT=…" in named["credentials"].fix


def test_the_report_reads_as_a_table_and_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert run_doctor(str(tmp_path)) == 0
    assert capsys.readouterr().out.rstrip().endswith("all is well")
    assert run_doctor(str(tmp_path), "json") == 0
    lines = json.loads(capsys.readouterr().out)
    assert {"name", "state", "found", "fix"} == set(lines[0])

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert run_doctor(str(tmp_path)) == 1
    said = capsys.readouterr().out
    assert "FAIL  Prefect server" in said
    assert "-> start it, or take PREFECT_API_URL out" in said
    assert said.rstrip().endswith("1 to mend")


def test_a_broken_home_is_named(tmp_path: Path) -> None:
    (tmp_path / "trainset.json").write_text('{"layout": 99}')
    home = _by_name(checks(str(tmp_path), {}))["home"]
    assert home.state == "fail"
    assert "pip install -U trainset" in home.fix


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        ({"B2_KEY_ID": "0f1e2d3c4b5a"}, "credentials", "make an application key"),
        ({"TRAINSET_S3_ENDPOINT": "http://s3.eu-central-003.backblazeb2.com"}, "endpoint", "https"),
        ({"TRAINSET_S3_ENDPOINT": "https://backblazeb2.com"}, "endpoint", "the bucket's page"),
        ({"TRAINSET_S3_ENDPOINT": f"{ENDPOINT}/bucket"}, "endpoint", "https://s3.<region>"),
    ],
)
def test_wrong_credentials_are_found_before_any_request(
    change: dict[str, str], line: str, said: str
) -> None:
    found = _by_name(bucket_checks("b2://b/home", SET | change, NOW))
    assert found[line].state == "fail"
    assert said in found[line].fix + found[line].found
    assert "bucket" not in found


def test_the_region_is_read_from_the_endpoint_and_the_key_is_not_shown() -> None:
    found = bucket_checks(None, SET, NOW)
    assert "region eu-central-003" in _by_name(found)["endpoint"].found
    assert SECRET not in str(found)


GOOD = BucketFacts(
    region="r", conditional_put="refused", versioning="on", clock_skew_s=1.0, expiring=()
)


@pytest.mark.parametrize(
    ("facts", "line", "state"),
    [
        (GOOD, "bucket", "ok"),
        (GOOD, "conditional PUT", "ok"),  # B2 refuses it; the git store does without
        (GOOD.model_copy(update={"conditional_put": "ignored"}), "conditional PUT", "warn"),
        (GOOD.model_copy(update={"versioning": "off"}), "versions", "warn"),
        (GOOD.model_copy(update={"clock_skew_s": -900.0}), "clock", "fail"),
        (GOOD.model_copy(update={"expiring": ("homes/",)}), "lifecycle", "fail"),
        (GOOD.model_copy(update={"expiring": ("",)}), "lifecycle", "fail"),
        (GOOD.model_copy(update={"expiring": ("homes/street/tmp/",)}), "lifecycle", "fail"),
        (GOOD.model_copy(update={"expiring": ("logs/", "homes/street-2/")}), "lifecycle", "ok"),
        (GOOD.model_copy(update={"refused": {"put": "no; allow it"}}), "bucket", "fail"),
    ],
)
def test_what_the_facts_of_a_bucket_mean(facts: BucketFacts, line: str, state: str) -> None:
    assert _by_name(judge_bucket("b", "homes/street", facts))[line].state == state


@pytest.fixture(scope="module")
def credentials() -> Iterator[Credentials]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield Credentials(
        key_id="k", application_key=SecretStr(SECRET), endpoint=f"http://{host}:{port}"
    )
    server.stop()


def test_a_bucket_is_probed_and_left_as_it_was(credentials: Credentials) -> None:
    client: Any = make_client(credentials)
    client.create_bucket(Bucket="probed")
    on = {"Status": "Enabled"}
    client.put_bucket_versioning(Bucket="probed", VersioningConfiguration=on)
    rule = {"ID": "a", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}, **on}
    client.put_bucket_lifecycle_configuration(
        Bucket="probed", LifecycleConfiguration={"Rules": [rule]}
    )
    ahead = datetime.now(UTC) + timedelta(hours=1)
    facts = probe_bucket("probed", "home", credentials, now=ahead)
    assert facts.refused == {}
    assert (facts.versioning, facts.conditional_put) == ("on", "supported")
    assert facts.expiring == ("tmp/",)
    assert facts.keeps_old is True
    assert facts.clock_skew_s is not None
    assert 3500 < facts.clock_skew_s < 3700
    left = client.list_object_versions(Bucket="probed")
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


def test_a_bucket_that_is_not_there_is_a_line_of_the_report(credentials: Credentials) -> None:
    facts = probe_bucket("absent", "", credentials, now=NOW)
    (line,) = judge_bucket("absent", "", facts)
    assert (line.state, "absent" in line.found) == ("fail", True)
    assert line.fix
    assert SECRET not in str(line)
