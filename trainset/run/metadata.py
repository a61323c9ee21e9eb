"""Metadata steps of a run: sync one source, match all labels with all media."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from trainset.metadata import open_reader
from trainset.metadata.align import align_annotations
from trainset.metadata.base import Rejected
from trainset.metadata.counted import CountedReader, Tell
from trainset.metadata.store import label_uris, load_records
from trainset.metadata.sync import SyncReport, drop_unlisted, left_out_of_sync, sync_source
from trainset.metadata.tables.open import OpenBlock, open_tables, salt_of
from trainset.model import LeftOut, MetadataTotals
from trainset.run.alignment import alignment_before, put_alignment, read_times
from trainset.run.context import Run, RunContext
from trainset.run.reports import StageReport, SyncResult
from trainset.spec import MetadataSource
from trainset.tables.annotations import replace_rows
from trainset.tables.base import Table
from trainset.tables.label_states import STATUS, put_label_states
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.schema import ANNOTATIONS, MEDIA

MEDIA_COLUMNS = ["row_id", "key", "source_uri", "sha256", "width", "height"]
MEDIA_COLUMNS += ["duration", "modality"]


def sync_work(
    context: RunContext,
    name: str,
    *,
    open_block: OpenBlock | None = None,
    progress: Tell | None = None,
) -> SyncResult:
    """Read what is new or changed in the metadata source ``name`` of the spec.

    Args:
        open_block: looks up the blocks that the spec names; asked in this process, for what it
            says is a secret.
        progress: is told of every page that is read.
    """
    run = Run(context)
    source = next(s for s in context.spec.metadata if s.name == name)
    if source.is_tables:
        report = _sync_tables(run, source, open_block, progress)
    else:
        report = _sync_files(run, source, progress)
    return SyncResult(
        source=name,
        rows=report.rows,
        quarantined=report.quarantined,
        left_out=tuple(left_out_of_sync(report)),
        notes=report.notes,
    )


def _sync_files(run: Run, source: MetadataSource, progress: Tell | None) -> SyncReport:
    reader = open_reader(source, run.context.credentials)
    return sync_source(
        reader if progress is None else CountedReader(reader, progress),
        source,
        run.workspace,
        sync_id=run.workspace.run_id,
        now=run.context.started_at,
    )


def _sync_tables(
    run: Run, source: MetadataSource, open_block: OpenBlock | None, progress: Tell | None
) -> SyncReport:
    from trainset.metadata.tables.source import sync_tables  # late: drivers and a SQL engine

    return sync_tables(
        open_tables(source, open_block),
        source,
        run.workspace,
        sync_id=run.workspace.run_id,
        now=run.context.started_at,
        salt=salt_of(source, open_block),
        chunks=run.home.state / "chunks",
        progress=progress,
    )


def align_work(context: RunContext, synced: Sequence[SyncResult] = ()) -> StageReport:
    """Match all records of the run branch with its media, and write the annotations table.

    Records of sources that the spec no longer names leave the dataset. What is odd lies in
    ``runs/<run_id>/alignment.parquet`` afterwards.
    """
    run = Run(context)
    names = [source.name for source in context.spec.metadata]
    drop_unlisted(run.workspace, names)
    no_labels: list[tuple[str, Rejected]] = []
    records = load_records(run.workspace, names, rejected=no_labels)
    table = run.table("annotations")
    media = _media(run.table("media"))
    alignment = align_annotations(
        records,
        media,
        context.spec.align,
        label_uris=label_uris(run.workspace),
        before=alignment_before(run, media),
        read_at=read_times(run),
    )
    rows, report = alignment.rows, alignment.report
    if names or len(rows):
        put_alignment(run, alignment)
    if table is None and len(rows):
        table = LanceTableStore().create(run.workspace.table("annotations"), ANNOTATIONS)
    if table is not None:
        replace_rows(table, rows)
        put_label_states(LanceTableStore(), run.workspace.table(STATUS), rows, media)
    totals = MetadataTotals(
        rows=report.records,
        quarantined=sum(result.quarantined for result in synced),
        matched=report.matched_records,
        orphan_records=report.orphan_records,
        orphan_media=report.orphan_media,
        ambiguous=report.ambiguous,
    )
    return StageReport(
        metadata=totals,
        left_out=(
            *(item for result in synced for item in result.left_out),
            *(_no_label(source, item) for source, item in no_labels),
        ),
        ran=frozenset({"metadata"}) if synced or not names else frozenset(),
        alignment=report.model_dump(mode="json"),
    )


def _no_label(source: str, item: Rejected) -> LeftOut:
    """A row of a table that is no label; the row itself is in the commit."""
    record = f"#{item.record}" if item.record else ""
    reason = item.reason if not record else f"{item.reason}; mend it in its table"
    return LeftOut(
        key=f"{source}/{item.stream}{record}", stage="metadata", kind=item.kind, reason=reason
    )


def _media(table: Table | None) -> pa.Table:
    if table is None:
        return MEDIA.empty_table().select(MEDIA_COLUMNS)
    return table.scan(MEDIA_COLUMNS).read_all().select(MEDIA_COLUMNS)
