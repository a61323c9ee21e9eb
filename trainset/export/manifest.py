"""The manifest of an export: which commit, which rule, which files, and every sample's sha256."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from trainset.export.base import ExportFile
from trainset.export.split import RULE
from trainset.identity import canonical_json, hash128
from trainset.model import ExportResult, Frozen, LeftOut
from trainset.spec import ExportSpec

MANIFEST = "manifest.json"
SAMPLES = "samples.jsonl"
LAYOUT = 1
FINAL = ("wrong-field", "too-large", "copy-in-two-splits")  # left out by the commit and the spec


class SampleRecord(Frozen):
    """One line of ``samples.jsonl``. ``fields`` is the hash of all field values."""

    key: str
    row_id: str
    split: str
    sha256: str
    fields: str
    shard: str = ""


class Manifest(Frozen):
    """``manifest.json``: written last, so an export that has it is whole."""

    layout: int = LAYOUT
    name: str
    format: str
    commit: str
    ref: str
    spec: dict[str, Any]
    split: dict[str, Any]
    functions: dict[str, list[str]]  # fn_ids behind each exported computed column
    samples: dict[str, int]  # per split
    classes: dict[str, dict[str, int]]  # per split: samples that have a label of the class
    unreadable: int  # broken files that `where` takes; reported when they came in
    dataset_sha256: str
    files: tuple[ExportFile, ...]
    left_out: tuple[LeftOut, ...] = ()
    tools: dict[str, str]  # not part of any hash

    def is_of(self, commit: str, spec: ExportSpec) -> bool:
        """Whether a new export of this commit and spec would be this one."""
        # Bytes that were missing may be back, so such an export is made again.
        final = all(item.kind in FINAL for item in self.left_out)
        return self.layout == LAYOUT and final and (self.commit, self.spec) == (commit, dump(spec))

    def result(self, path: str) -> ExportResult:
        return ExportResult(
            name=self.name,
            format=self.format,
            path=path,
            samples=sum(self.samples.values()),
            sha256=self.dataset_sha256,
        )


def dump(spec: ExportSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json")


def describe_split(spec: ExportSpec) -> dict[str, Any]:
    return {**spec.split.model_dump(mode="json"), "rule": RULE}


def hash_fields(values: Mapping[str, Any]) -> str:
    """Hash of one sample's values by where they come from, as 32 hex digits.

    What an export calls its fields does not matter.
    """
    return hash128(dict(values))


def hash_dataset(samples: Iterable[SampleRecord]) -> str:
    """sha256 over the sorted (key, content sha256, fields hash) of all samples: the dataset hash.

    Formats, names of fields, shard sizes and splits do not change it.
    """
    digest = hashlib.sha256()
    for line in sorted((s.key, s.sha256, s.fields) for s in samples):
        digest.update(canonical_json(line) + b"\n")
    return digest.hexdigest()


def name_shards(
    samples: Sequence[SampleRecord], files: Sequence[ExportFile]
) -> Iterator[SampleRecord]:
    """The samples with the file each lies in; ``files`` hold them in this order."""
    shards = (file.path for file in files for _ in range(file.samples))
    for sample, shard in zip(samples, shards, strict=True):
        yield sample.model_copy(update={"shard": shard})


def tool_versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    tools = {"python": platform.python_version()}
    for package in ("trainset", "pyarrow", "numpy"):
        try:
            tools[package] = version(package)
        except PackageNotFoundError:  # run from a checkout that was not installed
            tools[package] = "unknown"
    return tools
