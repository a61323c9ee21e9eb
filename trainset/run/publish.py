"""The end of a run: gate, commit, merge into main, tag. Main moves here, or on somebody's word."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from trainset import __version__
from trainset.errors import NotFound
from trainset.identity import hash128
from trainset.metadata.tables.open import OpenBlock
from trainset.model import Commit, LeftOut
from trainset.run import left_out
from trainset.run.conflicts import note_settled, read_settled
from trainset.run.context import Run, RunContext
from trainset.run.judging import judge_run, tables_of
from trainset.run.links import Shown, link_media
from trainset.run.overtaken import replayed_on_main, taken_up
from trainset.run.reports import Published, StageReport
from trainset.run.waiting import keep_waiting
from trainset.spec import GateSpec
from trainset.tables.root_hash import root_hash
from trainset.versions.base import MainMoved, MediaLinks
from trainset.versions.gate import Verdict

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
    again, as often as it takes. Where the spec wants somebody to approve it, the commit is made
    and waits on the run branch; see ``decide``. Repeating a publish that was cut off is safe.

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
        root = root_hash(tables_of(run))
        verdict = judge_run(run, report, root)
        ask = _asks(run.spec.gate, verdict)
        rowless = (*report.left_out, *read_settled(began))
        items = left_out.current_left_out(run, rowless=rowless, ran=report.ran)
        if not verdict.passed and not ask:
            return _refused(base, report, items, verdict)
        shown = link_media(run, progress)
        _write(run, left_out.PATH, left_out.encode(items))
        _write(run, SPEC, context.spec.to_yaml().encode())
        commit = run.workspace.commit(
            _message(report), _metadata(run, context.run_id, report, root)
        )
        if commit is None and not verdict.passed:
            return _refused(base, report, items, verdict)
        if commit is None:
            return _unchanged(run, base, report, items, verdict, shown)
        if ask:
            asked = _refused(base, report, items, verdict).model_copy(
                update={"status": "waiting", "waits": commit.id, "replayed": replayed}
            )
            return keep_waiting(context, asked.model_copy(update=_said(shown)))
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


def _asks(spec: GateSpec, verdict: Verdict) -> bool:
    """Whether somebody is asked before main moves."""
    return spec.approve == "always" or (spec.approve == "when_failed" and not verdict.passed)


def _refused(
    base: Commit | None, report: StageReport, items: list[LeftOut], verdict: Verdict
) -> Published:
    return Published(
        status="refused",
        base=None if base is None else base.id,
        report=report,
        left_out=tuple(items),
        gate=verdict.checks,
        reasons=verdict.reasons,
    )


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
        tag=tag_commit(run, commit),
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
            tag = tag_commit(run, base)
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
    facts |= {f"rows.{name}": str(table.count()) for name, table in tables_of(run).items()}
    return {key: value for key, value in facts.items() if value}


def tag_commit(run: Run, commit: Commit) -> str:
    """Tag the commit as the spec says, unless it has a tag.

    ``{n}`` is one more than the highest number so far, ``{date}`` the day of the run.
    """
    if commit.tags:
        return commit.tags[-1]
    pattern, versions = run.spec.tag, run.home.versions
    before, found, after = pattern.partition("{n}")
    number = 1
    if found:
        like = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
        taken = [int(m[1]) for tag in versions.tags() if (m := like.fullmatch(tag))]
        number = max(taken, default=0) + 1
    name = pattern.replace("{n}", str(number)).replace(
        "{date}", f"{run.context.started_at:%Y-%m-%d}"
    )
    return versions.tag(name, commit.id)
