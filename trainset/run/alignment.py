"""What an alignment reads of the base commit, and what it leaves under ``runs/``."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from trainset.errors import NotFound
from trainset.metadata.align import Alignment
from trainset.metadata.align.rematch import (
    MATCHED_BY,
    Before,
    Stream,
    same_media,
    streams_that_hold,
)
from trainset.metadata.store import label_uris, manifests
from trainset.run.context import Run
from trainset.spec import DatasetSpec, MatchMethod
from trainset.tables.lance_store import LanceTableStore
from trainset.versions.base import Snapshot

FINDINGS, REPORT = "alignment.parquet", "alignment.json"
_SPEC = "_meta/spec.yaml"
_REPLAYED = re.compile(r"\.r\d+$")  # a replay has a branch of its own, and the run's folder


def alignment_before(run: Run, media: pa.Table) -> Before | None:
    """The alignment of the run's base commit; None when it has no labels.

    Args:
        media: of the run, with at least the columns ``MATCHED_BY``.
    """
    base = run.workspace.base
    snapshot = None if base is None else run.home.versions.snapshot(base.id)
    if snapshot is None or "annotations" not in snapshot.tables():
        return None
    rows = LanceTableStore().open(snapshot.table("annotations")).scan().read_all()
    now = label_uris(run.workspace)
    holds = streams_that_hold(
        same_media=_same_media(run, snapshot, media),
        methods=(_methods(snapshot), run.spec.align),
        label_uris=(label_uris(snapshot), now),
        streams=sorted(now),
    )
    return Before(rows, holds)


def read_times(run: Run) -> dict[Stream, str]:
    """When each stream of the spec's sources was read so that something changed."""
    names = [source.name for source in run.spec.metadata]
    return {(s, stream): m.read_at for s, stream, m in manifests(run.workspace, names)}


def put_alignment(run: Run, alignment: Alignment) -> None:
    """Write ``runs/<run_id>/alignment.parquet`` (all that is odd) and ``alignment.json``."""
    folder = f"runs/{_REPLAYED.sub('', run.context.run_id)}"
    path = run.scratch / FINDINGS
    pq.write_table(alignment.findings, path, compression="zstd")
    run.home.store.put_file(f"{folder}/{FINDINGS}", path)
    body = alignment.report.model_dump_json(indent=1) + "\n"
    run.home.store.put(f"{folder}/{REPORT}", body.encode(), content_type="application/json")


def _same_media(run: Run, snapshot: Snapshot, media: pa.Table) -> bool:
    if "media" not in snapshot.tables():
        return not len(media)
    table, location = run.table("media"), snapshot.table("media")
    if table is not None and table.version == location.version:  # every write makes a version
        return True
    before = LanceTableStore().open(location).scan(list(MATCHED_BY)).read_all()
    return same_media(before, media)


def _methods(snapshot: Snapshot) -> tuple[MatchMethod, ...]:
    """The steps that the base commit's spec asks for; () when it has no spec."""
    try:
        spec = yaml.safe_load(snapshot.read(_SPEC))
    except NotFound:
        return ()
    return tuple(spec.get("align", DatasetSpec.model_fields["align"].default))
