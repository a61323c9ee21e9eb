"""Export protocol: samples of one commit in, files and a manifest out.

An exporter is deterministic: the same commit and the same export spec give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trainset.model import Frozen


@dataclass(frozen=True)
class Sample:
    """One training sample. ``media`` reads the bytes when the writer wants them."""

    key: str  # the media key
    row_id: str
    split: str
    sha256: str
    mime: str
    media: Callable[[], bytes] = field(repr=False)
    fields: Mapping[str, Any] = field(
        default_factory=dict
    )  # e.g. {"txt": "a caption", "json": […]}


class ExportFile(Frozen):
    """One file of an export, for the manifest."""

    path: str  # relative to the export
    size: int
    sha256: str
    samples: int
    split: str | None = None


class ExportWriter(Protocol):
    """Writes one format."""

    format: str

    def write(self, samples: Iterator[Sample], out: Path) -> list[ExportFile]:
        """Write all samples below the empty folder ``out``; samples arrive grouped by split."""
        ...
