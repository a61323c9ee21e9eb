"""The shared conformance suite, unchanged, on every lakeFS server that can be started here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from services import lakefs
from services.real import need

SUITE = Path(__file__).parents[3] / "shared" / "lakefs" / "conformance"
TESTS = 54
B2_TAKES_NO_CHECKSUMS = {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required"}


@pytest.mark.parametrize(("kind", "blocks"), lakefs.choices())
def test_the_conformance_suite_passes_unchanged(
    kind: str, blocks: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if not SUITE.is_dir():
        need("lakeFS conformance suite", "lay ../shared/lakefs beside the checkout")
    bucket = request.getfixturevalue("s3_bucket") if blocks == "bucket" else None
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(SUITE)]
    with lakefs.lakefs_server(kind, bucket=bucket) as server:
        done = subprocess.run(
            [*command, "-c", os.devnull, "--junitxml", str(report)],
            env={**os.environ, **server.environment, **B2_TAKES_NO_CHECKSUMS},
            capture_output=True,
            text=True,
            timeout=280,
        )
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None, done.stdout
    counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": TESTS, "failures": 0, "errors": 0, "skipped": 0}, done.stdout


def test_the_fake_says_that_it_is_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.lakefs_fake", "--folder", str(tmp_path)]
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline()
        said = process.stderr.readline()
        process.kill()
    assert url.startswith("http://127.0.0.1:")
    assert "FAKE for tests" in said
