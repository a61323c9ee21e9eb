"""Export protocol: samples of one commit in, files and a manifest out.

An exporter is deterministic: the same commit and the same export spec give the same bytes
(with the same library versions; the manifest records those).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trainset.model import ExportResult, Frozen, LeftOut


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


class ExportPlan(Frozen):
    """What an export would write; nothing was read but the tables."""

    name: str
    format: str
    samples: dict[str, int]  # per split, in shard order
    bytes: int  # of the media
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class ExportOutcome:
    """A finished export.

    Attributes:
        left_out: samples that this commit has and the export has not.
        known: those of them that the export which stood here before had left out as well.
        reused: it was there already and nothing was written.
    """

    result: ExportResult
    left_out: list[LeftOut]
    known: list[LeftOut] = field(default_factory=list)
    reused: bool = False


class ExportWriter(Protocol):
    """Writes one format.

    Contract (tests/export/test_writer_contract.py runs over every implementation): every sample is
    written, in the order given; two writes give the same bytes.
    """

    format: str

    def write(self, samples: Iterator[Sample], out: Path) -> list[ExportFile]:
        """Write all samples below the empty folder ``out``; samples arrive grouped by split.

        Returns every file written. Those with ``samples`` > 0 come in the order of the samples,
        so that counting through them says which file holds the n-th one.
        """
        ...
