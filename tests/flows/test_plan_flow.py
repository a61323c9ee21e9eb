"""The flow ``plan-transfer``: the plan as an artifact of a run, and nothing else."""

from __future__ import annotations

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from services.tiny_source import MEDIA, make_tiny_source


@pytest.mark.usefixtures("prefect_server")
def test_the_flow_leaves_the_plan_as_an_artifact_and_makes_no_home(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from flows.plan_transfer import plan_transfer

    tiny = make_tiny_source(tmp_path_factory.mktemp("tiny"))
    report = plan_transfer(str(tiny.spec_file), bandwidth="500Mbit/s")
    assert report.moving.files == MEDIA
    assert not (tiny.root / "home").exists()
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["transfer-plan"]))
        )
    assert any("Backblaze B2" in str(one.data) and report.home in str(one.data) for one in found)
