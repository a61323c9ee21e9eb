"""The end of a run: gate, commit, merge into main, tag. Main moves here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from trainset import __version__
from trainset.errors import NotFound
from trainset.identity import hash128
from trainset.metadata.tables.open import OpenBlock
from trainset.model import Commit, LeftOut
from trainset.run import left_out
from trainset.run.conflicts import note_settled, read_settled
from trainset.run.context import Run, RunContext
from trainset.run.label_changes import count_changed
from trainset.run.links import Shown, link_media
from trainset.run.media_changes import count_media_changes
from trainset.run.overtaken import replayed_on_main, taken_up
from trainset.run.reports import Published, StageReport
from trainset.tables.base import Table
from trainset.tables.lance_store import LanceTableStore
from trainset.tables.root_hash import root_hash
from trainset.versions.base import MainMoved, MediaLinks, VersionStore
from trainset.versions.gate import GateInput, Verdict, judge, lost_columns

SPEC = "_meta/spec.yaml"


def publish(
    context: RunContext,
    report: StageReport,
    *,
    open_block: OpenBlock | None = None,
    progress: Callable[[int], None] | None = None,
) -> Published:
    """Judge the run branch; if the gate is content, make main what it holds, and tag that.

    When main moved meanwhile, the run's row changes are replayed on the newest main and judged
    again, as often as it takes. Repeating a publish that was cut off is safe.

    Args:
        open_block: as for ``sync_work``: streams that moved on main are synced again.
        progress: told how many media are linked so far.
    Raises:
        RowConflicts: main and the run changed the same values, and the context prefers no side;
            nothing is merged.
    """
    run = Run(context)
    head = run.home.versions.head()
    if head is not None and head.metadata.get("run_id") == context.run_id:
        return _published(run, head, head.parents, report, replayed=0)
    began = run
    run, replayed = taken_up(run, report, open_block)
    while True:
        base = run.workspace.base
        root = root_hash(_tables(run))
        verdict = _judge(run, report, root)
        rowless = (*report.left_out, *read_settled(began))
        items = left_out.current_left_out(run, rowless=rowless, ran=report.ran)
        if not verdict.passed:
            return Published(
                status="refused",
                base=None if base is None else base.id,
                report=report,
                left_out=tuple(items),
                gate=verdict.checks,
                reasons=verdict.reasons,
            )
        shown = link_media(run, progress)
        _write(run, left_out.PATH, left_out.encode(items))
        _write(run, SPEC, context.spec.to_yaml().encode())
        commit = run.workspace.commit(
            _message(report), _metadata(run, context.run_id, report, root)
        )
        if commit is None:
            return _unchanged(run, base, report, items, verdict, shown)
        try:
            merged = run.workspace.merge()
        except MainMoved:
            replayed += 1
            run, settled = replayed_on_main(run, open_block)
            note_settled(began, settled)
            continue
        parents = (base.id,) if base is not None else ()
        return _published(run, merged, parents, report, verdict, items, shown, replayed=replayed)


def look_up(context: RunContext, ref: str) -> Published:
    """The commit that ``ref`` names, for a run that writes nothing."""
    run = Run(context)
    run.workspace.discard()
    commit = run.home.versions.resolve(ref)
    tag = commit.tags[-1] if commit.tags else None
    return Published(status="unchanged", base=commit.id, commit=commit.id, tag=tag)


def _published(
    run: Run,
    commit: Commit,
    parents: tuple[str, ...],
    report: StageReport,
    verdict: Verdict | None = None,
    items: list[LeftOut] | None = None,
    shown: Shown | None = None,
    *,
    replayed: int,
) -> Published:
    return Published(
        status="completed",
        base=parents[0] if parents else None,
        commit=commit.id,
        tag=_tag(run.home.versions, run.spec.tag, commit, run.context),
        report=report,
        left_out=tuple(items or left_out.known_left_out(run, commit.id)),
        gate=() if verdict is None else verdict.checks,
        replayed=replayed,
        **_said(shown),
    )


def _unchanged(
    run: Run,
    base: Commit | None,
    report: StageReport,
    items: list[LeftOut],
    verdict: Verdict,
    shown: Shown,
) -> Published:
    """Nothing differs from main: no commit, and no tag unless a crash kept main's tip from it."""
    run.workspace.discard()
    tag = None
    if base is not None:
        base = run.home.versions.resolve(base.id)  # with the tags that it has now
        tag = base.tags[-1] if base.tags else None
        if tag is None and "run_id" in base.metadata:
            tag = _tag(run.home.versions, run.spec.tag, base, run.context)
    return Published(
        status="unchanged",
        base=None if base is None else base.id,
        commit=None if base is None else base.id,
        tag=tag,
        report=report,
        left_out=tuple(items),
        gate=() if verdict is None else verdict.checks,
        **_said(shown),
    )


def _said(shown: Shown | None) -> dict[str, Any]:
    """What the report says of media in the version store."""
    if shown is None:
        return {}
    return {"links": None if shown.links == MediaLinks() else shown.links, "notes": shown.notes}


def _judge(run: Run, report: StageReport, root: str) -> Verdict:
    base, now = _base_tables(run), _tables(run)
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


def _tables(run: Run) -> dict[str, Table]:
    return {name: table for name in run.workspace.tables() if (table := run.table(name))}


def _base_tables(run: Run) -> dict[str, Table]:
    base = run.workspace.base
    if base is None:
        return {}
    snapshot = run.home.versions.snapshot(base.id)
    return {name: LanceTableStore().open(snapshot.table(name)) for name in snapshot.tables()}


def _columns(tables: Mapping[str, Table]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(table.schema.names) for name, table in tables.items()}


def _write(run: Run, path: str, data: bytes) -> None:
    """Write a small file of the commit, if it differs."""
    try:
        if run.workspace.read(path) == data:
            return
    except NotFound:
        pass
    run.workspace.write(path, data)


def _message(report: StageReport) -> str:
    parts = []
    if report.transfer is not None:
        parts.append(f"{report.media_changed} media rows changed")
    if report.metadata is not None:
        parts.append(f"{report.metadata.matched} of {report.metadata.rows} labels matched")
    if report.cells is not None:
        parts.append(f"{report.cells.computed + report.cells.cached} cells filled")
    return "; ".join(parts) or "no stage ran"


def _metadata(run: Run, run_id: str, report: StageReport, root: str) -> dict[str, str]:
    facts = {
        "run_id": run_id,
        "trainset": __version__,
        "spec": hash128(run.spec.model_dump(mode="json")),
        "root": root,
        "provenance": report.provenance or "",
    }
    facts |= {f"rows.{name}": str(table.count()) for name, table in _tables(run).items()}
    return {key: value for key, value in facts.items() if value}


def _tag(versions: VersionStore, pattern: str, commit: Commit, context: RunContext) -> str:
    """Tag the commit: ``{n}`` is one more than the highest number so far, ``{date}`` the day."""
    if commit.tags:
        return commit.tags[-1]
    before, found, after = pattern.partition("{n}")
    number = 1
    if found:
        like = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
        taken = [int(m[1]) for tag in versions.tags() if (m := like.fullmatch(tag))]
        number = max(taken, default=0) + 1
    name = pattern.replace("{n}", str(number)).replace("{date}", f"{context.started_at:%Y-%m-%d}")
    return versions.tag(name, commit.id)
