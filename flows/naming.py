"""Names of flow runs, as the runs list shows them (below 50 characters)."""

from __future__ import annotations

from pathlib import Path

from prefect.runtime import flow_run

from trainset.errors import TrainsetError
from trainset.spec import load_spec


def run_name() -> str:
    """``pipeline street-scenes``: the flow, and the dataset; of a spec with a fault its file."""
    path = Path(str(flow_run.parameters.get("spec", ""))).absolute()  # a bare name has no folder
    try:
        label = load_spec(path).name
    except TrainsetError:
        label = path.parent.name if path.stem == "dataset" else path.stem
    return f"{flow_run.flow_name} {label}"[:48]
