"""What the gate is told of a run: its tables beside those of its base."""

from __future__ import annotations

from collections.abc import Mapping

from trainset.run.context import Run
from trainset.run.label_changes import count_changed
from trainset.run.media_changes import count_media_changes
from trainset.run.reports import StageReport
from trainset.tables.base import Table
from trainset.tables.lance_store import LanceTableStore
from trainset.versions.gate import GateInput, Verdict, judge, lost_columns


def judge_run(run: Run, report: StageReport, root: str) -> Verdict:
    """Ask the gate about the run branch as it stands; ``root`` is its root hash."""
    base, now = _base_tables(run), tables_of(run)
    media, labels = now.get("media"), now.get("annotations")
    before = base.get("annotations")
    changes = count_media_changes(base.get("media"), media)
    return judge(
        GateInput(
            media_rows=0 if media is None else media.count(),
            unreadable=0 if media is None else media.count("unreadable IS NOT NULL"),
            label_rows=0 if labels is None else labels.count(),
            orphan_records=0 if labels is None else labels.count("match = 'orphan'"),
            labels_before=0 if before is None else before.count(),
            labels_changed=0 if before is None or labels is None else count_changed(before, labels),
            media_before=changes.before,
            media_changed=changes.changed,
            media_changed_silently=changes.silently,
            root_hash=root,
            lost_columns=lost_columns(_columns(base), _columns(now)),
            transfer=report.transfer or GateInput(media_rows=0).transfer,
            spec=run.spec.gate,
        )
    )


def tables_of(run: Run) -> dict[str, Table]:
    """The tables of the work tree, by name."""
    return {name: table for name in run.workspace.tables() if (table := run.table(name))}


def _base_tables(run: Run) -> dict[str, Table]:
    base = run.workspace.base
    if base is None:
        return {}
    snapshot = run.home.versions.snapshot(base.id)
    return {name: LanceTableStore().open(snapshot.table(name)) for name in snapshot.tables()}


def _columns(tables: Mapping[str, Table]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(table.schema.names) for name, table in tables.items()}
