"""A flow run of a deployment suspends with a form, and goes on as the form is answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun
from services.tiny_source import TinySource, make_tiny_source

from flows.pipeline import pipeline
from trainset.run.waiting import waiting_runs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tiny(tmp_path: Path) -> TinySource:
    source = make_tiny_source(tmp_path)
    source.write_spec(columns={}, gate={"approve": "always"})
    return source


@pytest.fixture
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as one:
        yield one


def begin(client: SyncPrefectClient, tiny: TinySource) -> UUID:
    """A flow run of a deployment of the pipeline, as a schedule would make it."""
    deployed = pipeline.to_deployment("tiny", parameters={"spec": str(tiny.spec_file)})
    identity = deployed.apply()
    assert isinstance(identity, UUID)
    return client.create_flow_run_from_deployment(identity).id


def work(client: SyncPrefectClient, run: UUID, server: str) -> FlowRun:
    """What a worker does with a flow run that is due: run it in a process of its own."""
    environment = {
        **os.environ,
        "PREFECT_API_URL": server,
        "PREFECT__FLOW_RUN_ID": str(run),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "prefect.flow_engine", "flows/pipeline.py:pipeline"]
    subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=300)
    return client.read_flow_run(run)


def tasks_of(client: SyncPrefectClient, run: UUID) -> list[str]:
    this = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    return sorted(one.name for one in client.read_task_runs(flow_run_filter=this))


def form_of(client: SyncPrefectClient, run: FlowRun) -> tuple[dict[str, Any], str]:
    """The schema of the form, and the sentence above it."""
    assert run.state is not None
    keys = run.state.state_details.run_input_keyset
    assert keys is not None
    schema = json.loads(client.read_flow_run_input(run.id, keys["schema"]))
    return schema, client.read_flow_run_input(run.id, keys["description"])


def test_the_form_is_answered_and_no_stage_runs_twice(
    tiny: TinySource, client: SyncPrefectClient, prefect_server: str
) -> None:
    identity = begin(client, tiny)
    asked = work(client, identity, prefect_server)
    assert asked.state is not None
    assert asked.state.name == "Suspended"
    assert tiny.home.versions.head() is None
    (waiting,) = waiting_runs(tiny.home)
    schema, words = form_of(client, asked)
    assert schema["properties"]["decision"]["enum"] == ["approve", "reject"]
    assert f"main stays where it was until somebody approves `{waiting.commit[:12]}`" in words

    said = {"decision": "approve", "by": "maria", "note": "fine"}
    client.resume_flow_run(identity, run_input=said)
    done = work(client, identity, prefect_server)
    assert done.state is not None
    assert done.state.name == "Completed"
    assert tiny.home.versions.resolve("v1").tags == ("v1",)
    summary = tiny.home.store.get(f"runs/{waiting.run_id}/summary.txt").decode()
    assert "maria approved it: fine" in summary
    names = tasks_of(client, identity)
    assert [names.count(name) for name in ("publish", "decide", "write-report")] == [1, 1, 2]
    assert len([name for name in names if name.startswith("transfer-batch")]) == 1
