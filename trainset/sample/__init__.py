"""What the project makes itself for its demo and tests: a small dataset, and a small OpenCLIP."""

from __future__ import annotations

from pathlib import Path

SAMPLE = "sample"  # name of the demo's own dataset
MARK = "made-by-trainset.json"  # lies in the folder of the small model


def is_tiny_clip(model: str) -> bool:
    """Whether ``model`` (of an ``open_clip`` column) is the one that knows only coloured shapes."""
    return (Path(model.removeprefix("local-dir:")) / MARK).exists()
