"""What deployments/ says fits the flows that are there."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments"
DECLARED: list[dict[str, Any]] = yaml.safe_load((FOLDER / "prefect.yaml").read_text())[
    "deployments"
]


def _load(entrypoint: str) -> Any:
    path, name = entrypoint.split(":")
    return getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)


@pytest.mark.parametrize("declared", DECLARED, ids=lambda d: d["name"])
def test_every_deployment_names_a_flow_that_takes_its_parameters(declared: dict[str, Any]) -> None:
    flow = _load(declared["entrypoint"])
    asked = {"decision": "reject", "by": "a person"} if flow.name == "decide-run" else {}
    validated = flow.validate_parameters({**declared["parameters"], **asked})
    assert set(declared["parameters"]) <= set(validated)
    assert declared["description"].endswith(".")


def test_every_flow_is_deployed_and_served() -> None:
    from deployments.serve import FLOWS

    assert {flow.name for flow in FLOWS} == {_load(d["entrypoint"]).name for d in DECLARED}


def test_serving_gives_every_flow_the_spec_and_the_pipeline_a_schedule(tmp_path: Path) -> None:
    from deployments.serve import deployments

    spec = tmp_path / "dataset.yaml"
    spec.write_text("name: streets\nhome: home\nmedia: [{name: a, from: media}]\n")
    served = deployments(spec, "0 4 * * *")
    assert {d.name for d in served} == {"streets"}
    assert all(d.parameters == {"spec": str(spec)} for d in served)
    assert {d.flow_name for d in served if d.schedules} == {"pipeline"}


def test_compose_and_image_name_files_that_exist() -> None:
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    for service in compose["services"].values():
        assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    for line in (FOLDER / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY"):
            assert (ROOT / line.split()[1]).exists()
    assert (FOLDER / ".env.example").is_file()


def test_prefect_takes_the_deployments_and_the_automation(prefect_server: str) -> None:
    def prefect(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *words],
            cwd=ROOT,
            env={
                **os.environ,
                "PREFECT_API_URL": prefect_server,
                "TRAINSET_ROOT": str(ROOT),
                "TRAINSET_SPEC": "/data/dataset.yaml",
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    prefect("work-pool", "create", "trainset", "--type", "process")
    prefect("deploy", "--prefect-file", "deployments/prefect.yaml", "--all")
    prefect("automation", "create", "--from-file", "deployments/automations.yaml")
    listed = prefect("deployment", "ls")
    for declared in DECLARED:
        assert declared["name"] in listed
    assert "crash-zombie" in prefect("automation", "ls")
