"""Names of flow runs, as the runs list shows them (below 50 characters)."""

from __future__ import annotations

from pathlib import Path

from prefect.runtime import flow_run


def run_name() -> str:
    """``pipeline street-scenes``: the flow, and the folder or name its spec stands for."""
    path = Path(str(flow_run.parameters.get("spec", ""))).absolute()  # a bare name has no folder
    label = path.parent.name if path.stem == "dataset" else path.stem
    return f"{flow_run.flow_name} {label}"[:48]
