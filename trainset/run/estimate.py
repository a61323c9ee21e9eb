"""What a run would do, before anything moves: files, bytes, matches, cells, minutes and disk."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from trainset.compute.context import processors
from trainset.compute.registry import load_class
from trainset.errors import NotFound
from trainset.home import open_home
from trainset.identity import row_id
from trainset.metadata import open_reader
from trainset.metadata.align import align_annotations
from trainset.metadata.names import EXTENSIONS, extension
from trainset.metadata.records import RECORDS
from trainset.model import Credentials
from trainset.report.wording import many, size, took
from trainset.spec import DatasetSpec
from trainset.stores import open_store
from trainset.stores.atomic import can_clone
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.media import iter_base_rows
from trainset.transfer.base import SourceFile
from trainset.transfer.listing import list_source
from trainset.transfer.plan import BaseRow, plan_transfer

SECONDS_PER_FILE = 0.01  # listing, hashing, looking into and writing a small file
BYTES_PER_S = 200e6  # one core hashing and writing
START_S = 30.0  # server, imports


@dataclass(frozen=True)
class Estimate:
    """Numbers of a dry run; ``seconds`` is rough, of this machine's cores."""

    files: int
    bytes: int
    unchanged: int
    waiting: int
    missing: int
    records: int
    matched: int
    cells: dict[str, int]
    seconds: float
    free_bytes: int | None  # on the home's disk; None for a bucket
    reflink: bool
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For a person, a line a stage."""
        waiting = f", {self.waiting} too young" if self.waiting else ""
        missing = f", {self.missing} gone from their source" if self.missing else ""
        cells = ", ".join(f"{name} {count}" for name, count in self.cells.items() if count)
        lines = [
            f"Transfer: {many(self.files, 'file')} ({size(self.bytes)}) to bring in, "
            f"{self.unchanged} there already{waiting}{missing}.",
            f"Labels: {many(self.records, 'record')}, of which {self.matched} match by name.",
            f"Compute: {sum(self.cells.values())} cells at most ({cells or 'nothing new'}).",
            f"Time: about {took(self.seconds)} on {many(processors(), 'core')}.",
        ]
        if self.free_bytes is not None:
            how = "copied, large files by reflink" if self.reflink else "copied"
            lines.append(f"Disk: {size(self.bytes)} {how}; {size(self.free_bytes)} free.")
            if not self.reflink and self.bytes > self.free_bytes:
                lines.append("That does not fit: free some disk, or choose another OUT.")
        return lines + [f"Note: {fault}" for fault in self.faults]

    def text(self) -> str:
        return "\n".join(self.lines())


def estimate_run(spec: DatasetSpec, credentials: Credentials | None = None) -> Estimate:
    """Plan a run against the home's main, without a branch and without writing anything."""
    base = _base(spec, credentials)
    listing = list(_listing(spec, credentials))
    plan = plan_transfer(listing, base, spec.media, now=datetime.now(UTC))
    moving = [file for batch in plan.batches for file in batch]
    cells = _cells(spec, moving)
    records, matched, faults = _labels(spec, listing, credentials)
    work = sum(load_class(spec.columns[n].op).seconds_per_item * k for n, k in cells.items())
    seconds = START_S + plan.files * SECONDS_PER_FILE + plan.bytes / BYTES_PER_S
    local = None if "://" in spec.home else _existing(Path(spec.home))
    return Estimate(
        files=plan.files,
        bytes=plan.bytes,
        unchanged=plan.unchanged,
        waiting=len(plan.deferred),
        missing=len(plan.missing),
        records=records,
        matched=matched,
        cells=cells,
        seconds=seconds + work / processors(),
        free_bytes=None if local is None else shutil.disk_usage(local).free,
        reflink=local is not None and all(_shares(m.from_, local) for m in spec.media),
        faults=faults,
    )


def _base(spec: DatasetSpec, credentials: Credentials | None) -> dict[str, BaseRow]:
    try:
        home = open_home(spec.home, credentials=credentials)
    except NotFound:
        return {}
    head = home.versions.head()
    if head is None:
        return {}
    media = LanceTableStore().open(home.versions.snapshot(head.id).table("media"))
    return {
        row.key: BaseRow(row.size, row.source_version, row.source_state or "present")
        for row in iter_base_rows(media)
    }


def _listing(spec: DatasetSpec, credentials: Credentials | None) -> Iterable[SourceFile]:
    for source in spec.media:
        yield from list_source(source, open_store(source.from_, credentials), home=spec.home)


def _cells(spec: DatasetSpec, files: Iterable[SourceFile]) -> dict[str, int]:
    """Cells by column if every file is what its name says; ``where`` is not looked at."""
    kinds = Counter(EXTENSIONS.get(extension(file.path), "other") for file in files)
    return {
        name: sum(kinds[m] for m in load_class(column.op).modalities)
        for name, column in spec.columns.items()
    }


def _labels(
    spec: DatasetSpec, files: list[SourceFile], credentials: Credentials | None
) -> tuple[int, int, list[str]]:
    """Records, matches by name, and what could not be read."""
    tables, uris, faults = [RECORDS.empty_table()], {}, []
    for source in spec.metadata:
        reader = open_reader(source, credentials)
        try:
            for stream in reader.discover():
                uris[source.name, stream.name] = stream.uri or ""
                tables += [batch.records for batch in reader.read(stream.name, {})]
        except (NotFound, ValueError) as err:
            faults.append(str(err))
    media = pa.table(
        {
            "row_id": [row_id(file.key) for file in files],
            "key": [file.key for file in files],
            "source_uri": [file.uri for file in files],
            "sha256": pa.nulls(len(files), pa.string()),
            "width": pa.nulls(len(files), pa.int32()),
            "height": pa.nulls(len(files), pa.int32()),
            "modality": [EXTENSIONS.get(extension(file.path), "other") for file in files],
        }
    )
    records = pa.concat_tables([t.cast(RECORDS) for t in tables])
    _, report = align_annotations(records, media, spec.align, label_uris=uris)
    return report.records, report.matched_records, faults


def _existing(path: Path) -> Path:
    """The nearest folder above that exists: its disk is the home's disk."""
    while not path.exists():
        path = path.parent
    return path


def _shares(source: str, home: Path) -> bool:
    """Whether files of a source can share disk blocks with the home."""
    if "://" in source or os.stat(source).st_dev != os.stat(home).st_dev:
        return False
    return can_clone(home)
