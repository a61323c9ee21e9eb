"""The lines of code that open a dataset or an export; every one of them is run by a test."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

from trainset.model import ExportResult
from trainset.spec import DatasetSpec


def open_dataset(spec: DatasetSpec, ref: str | None) -> str:
    """Python that opens this version and looks at its media, by its repository if it has one."""
    at = f", ref={ref!r}" if ref else ""
    url = spec.versions if spec.versions.startswith("lakefs://") else spec.home
    return (
        "import trainset\n\n"
        f"ds = trainset.open({url!r}{at})\n"
        "media = ds.table('media')\n"
        "media.where(\"modality = 'image' and width >= 640\").to_pandas()"
    )


def in_terminal(spec: DatasetSpec, ref: str | None) -> str:
    """Commands that look at this version."""
    home, at = shlex.quote(spec.home), f" --ref {ref}" if ref else ""
    return f"trainset query {home}{at} --where \"modality = 'image'\"\ntrainset log {home}"


def approve_run(run_id: str) -> str:
    """Commands that say yes or no to a run that waits."""
    says = f"dataset.yaml --run {run_id} --by NAME"
    return f"python -m flows approve {says}\npython -m flows reject {says} --note REASON"


def open_export(export: ExportResult, home: str) -> str:
    """The few lines of Python that load an export; in a bucket it is brought here first."""
    lines: Sequence[str] = ()
    folder = str(PurePosixPath(home) / export.path) if "://" not in home else export.path
    if "://" in home:
        lines = (f"# first: aws s3 sync {_s3(home)}/{export.path} {export.path}",)
    if export.format == "webdataset":
        lines = (
            *lines,
            "import glob, webdataset",
            f"shards = sorted(glob.glob({folder + '/train-*.tar'!r}))",
            "data = webdataset.WebDataset(shards, shardshuffle=False).decode('pil')",
        )
    else:
        lines = (*lines, "import datasets", f"data = datasets.load_dataset({folder!r})")
    return "\n".join(lines)


def _s3(home: str) -> str:
    return home.replace("b2://", "s3://", 1)
