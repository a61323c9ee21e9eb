"""Runs one export: rows to samples, samples to a folder that appears whole or not at all."""

from __future__ import annotations

import fcntl
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trainset.errors import InputError
from trainset.export.base import ExportFile, ExportOutcome, ExportPlan, ExportWriter, Sample
from trainset.export.hashed_file import HashedFile
from trainset.export.huggingface import HuggingFaceWriter
from trainset.export.manifest import (
    MANIFEST,
    SAMPLES,
    Manifest,
    SampleRecord,
    describe_split,
    dump,
    hash_dataset,
    hash_fields,
    name_shards,
    tool_versions,
)
from trainset.export.place import find_export, publish
from trainset.export.read import read_ahead
from trainset.export.select import Item, Selection, select_samples
from trainset.export.webdataset import WebDatasetWriter
from trainset.home import Home
from trainset.identity import canonical_json
from trainset.model import LeftOut
from trainset.spec import ExportSpec

if TYPE_CHECKING:
    from trainset.dataset import Dataset

Progress = Callable[[int], None]  # takes the number of samples that are done


def plan_export(dataset: Dataset, name: str, spec: ExportSpec) -> ExportPlan:
    """What ``run_export`` would write, from the tables alone.

    Raises:
        SpecError: the spec names what this commit does not have.
    """
    selection = select_samples(dataset, spec)
    _writer(name, spec, selection, dataset.commit.id)  # checks what the fields promise
    return ExportPlan(
        name=name,
        format=spec.format,
        samples=selection.counts,
        bytes=selection.bytes,
        left_out=tuple(selection.left_out),
    )


def run_export(
    dataset: Dataset, name: str, spec: ExportSpec, *, progress: Progress | None = None
) -> ExportOutcome:
    """Write ``exports/<name>/`` of the home from the commit that ``dataset`` is open at.

    An export of the same commit and spec that is there and whole is left as it is. A sample whose
    bytes are gone or changed is left out and reported; the export goes on.

    Raises:
        SpecError: the spec names what this commit does not have.
        InputError: no sample is left.
    """
    home, commit = dataset.home, dataset.commit.id
    with _locked(home, name):
        there = find_export(home, name)
        if there is not None and there.is_of(commit, spec):
            held = list(there.left_out)
            return ExportOutcome(there.result(f"exports/{name}"), held, known=held, reused=True)
        selection = select_samples(dataset, spec)
        writer = _writer(name, spec, selection, commit)
        build = _build_folder(home, name)
        reading = _Reading(home, selection, progress)
        files = writer.write(iter(reading), build)
        if not reading.records:
            shutil.rmtree(build)
            raise InputError(
                f"export {name!r} has no sample at commit {commit[:12]}: "
                + _why_empty(selection, spec)
            )
        manifest = _finish(build, files, reading, selection, name, spec, dataset)
        publish(home, name, build, manifest)
    before = {item.identity for item in there.left_out} if there is not None else set()
    known = [item for item in reading.left_out if item.identity in before]
    return ExportOutcome(manifest.result(f"exports/{name}"), reading.left_out, known=known)


class _Reading:
    """Samples with checked bytes for the writer; keeps what the manifest says of each."""

    def __init__(self, home: Home, selection: Selection, progress: Progress | None) -> None:
        self.left_out = list(selection.left_out)
        self.records: list[SampleRecord] = []
        self.classes: dict[str, Counter[str]] = {}
        self._sources = [(f.name, f.source) for f in selection.fields if f.kind != "media"]
        self._home, self._selection = home, selection
        self._progress = progress

    def __iter__(self) -> Iterator[Sample]:
        for done, (item, data) in enumerate(read_ahead(self._home, self._selection), start=1):
            if isinstance(data, LeftOut):
                self.left_out.append(data)
            else:
                yield self._sample(item, data)
            if self._progress is not None:
                self._progress(done)

    def _sample(self, item: Item, data: bytes) -> Sample:
        row = item.row
        record = SampleRecord(
            key=row["key"],
            row_id=row["row_id"],
            split=row["split"],
            sha256=row["sha256"],
            fields=hash_fields({source: item.fields[name] for name, source in self._sources}),
        )
        self.records.append(record)
        self.classes.setdefault(record.split, Counter()).update(item.classes)
        return Sample(
            key=record.key,
            row_id=record.row_id,
            split=record.split,
            sha256=record.sha256,
            mime=row["mime"] or "",
            media=lambda: data,
            fields=item.fields,
        )


def _writer(name: str, spec: ExportSpec, selection: Selection, commit: str) -> ExportWriter:
    """The writer of one format; a new format is one file and one branch here."""
    if spec.format == "webdataset":
        return WebDatasetWriter(selection.fields, shard_bytes=spec.shard_size)
    card = (
        f"Exported by trainset from commit `{commit}`. `{MANIFEST}` says how it was selected and "
        f"split, `{SAMPLES}` has the sha256 of every sample. Set the licence above before you "
        "publish."
    )
    return HuggingFaceWriter(
        selection.fields,
        shard_bytes=spec.shard_size,
        images=selection.images,
        title=name,
        card=card,
    )


def _finish(
    build: Path,
    files: list[ExportFile],
    reading: _Reading,
    selection: Selection,
    name: str,
    spec: ExportSpec,
    dataset: Dataset,
) -> Manifest:
    """Write ``samples.jsonl`` and the manifest into the folder, the manifest last."""
    listing = HashedFile(build / SAMPLES)
    for record in name_shards(reading.records, files):
        listing.write(canonical_json(record.model_dump()) + b"\n")
    files = [*files, listing.finish(build)]
    samples = Counter(r.split for r in reading.records)
    manifest = Manifest(
        name=name,
        format=spec.format,
        commit=dataset.commit.id,
        ref=str(dataset.ref),
        spec=dump(spec),
        split=describe_split(spec),
        functions=selection.functions,
        samples={s: samples[s] for s in selection.counts if samples[s]},
        classes={s: dict(sorted(found.items())) for s, found in reading.classes.items()},
        unreadable=selection.unreadable,
        dataset_sha256=hash_dataset(reading.records),
        files=tuple(files),
        left_out=tuple(reading.left_out),
        tools=tool_versions(),
    )
    file = HashedFile(build / MANIFEST)
    file.write(manifest.model_dump_json(indent=2).encode() + b"\n")
    file.close()
    return manifest


def _build_folder(home: Home, name: str) -> Path:
    """An empty folder to build in: beside the export, so that a rename puts it in place."""
    beside = home.store.local_path(f"exports/.{name}.building")
    folder = beside or home.state / "exports" / f"{name}.building"
    if folder.exists():
        shutil.rmtree(folder)  # what a killed export left; the lock says that nobody works there
    folder.mkdir(parents=True)
    return folder


@contextmanager
def _locked(home: Home, name: str) -> Iterator[None]:
    """One export of a name at a time on this machine."""
    with (home.state / f"export-{name}.lock").open("wb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _why_empty(selection: Selection, spec: ExportSpec) -> str:
    if selection.rows.num_rows:
        return "the bytes of every sample are gone or changed; run the transfer again"
    if selection.left_out:
        return selection.left_out[0].reason
    return f"its where ({spec.where or 'none'}) takes no readable medium; widen it"
