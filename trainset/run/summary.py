"""The last step of a run: summary.json, report.html, and what the terminal says."""

from __future__ import annotations

from collections.abc import Sequence

from trainset.dataset import open as open_dataset
from trainset.home import open_home
from trainset.model import Credentials, LeftOut, RunSummary
from trainset.report import text_summary, write_report
from trainset.run.conflicts import unsettled
from trainset.run.context import Run, RunContext, now
from trainset.run.examples import Examples, example_searches
from trainset.run.left_out import known_left_out
from trainset.run.reports import Exported, Published
from trainset.run.waiting import NEVER, end_waiting
from trainset.spec import DatasetSpec
from trainset.versions.lakefs.access import LakeFSAccess

REPORT = "report.html"


def write_summary(
    context: RunContext, published: Published, exports: Sequence[Exported]
) -> RunSummary:
    """Write the run's summary and report into the home, and give the summary."""
    run = Run(context)
    known = {item.identity for item in known_left_out(run, published.base)}
    told = [(item, item.identity in known) for item in published.left_out]
    told += [(i, i.identity in export.known) for export in exports for i in export.left_out]
    new = [item for item, before in told if not before]
    old = [item for item, before in told if before]
    report = published.report
    summary = RunSummary(
        run_id=context.run_id,
        status=published.status,
        base=published.base,
        commit=published.commit,
        tag=published.tag,
        **{
            name: totals
            for name in ("transfer", "metadata", "cells")
            if (totals := getattr(report, name)) is not None
        },
        exports=tuple(export.result for export in exports if export.result is not None),
        left_out=tuple(new),
        known_left_out=len(old),
        waits=published.waits,
        decision=published.decision,
    )
    _write_pages(run, summary, published, old)
    if published.waits is None and (published.decision or run.spec.gate.approve != NEVER):
        end_waiting(run.home, context.run_id)  # last: a kill before it lets it be said again
    return summary


def write_failed_summary(context: RunContext, error: BaseException) -> RunSummary:
    """Leave a summary of a run that ended by an error.

    Main is where it was, or it holds the whole run: an export or the report can fail after that.
    """
    run = Run(context)
    head = run.home.versions.head()
    base, commit = (None if head is None else head.id), None
    if head is not None and head.metadata.get("run_id") == context.run_id:
        base, commit = (head.parents[0] if head.parents else None), head.id
    summary = RunSummary(
        run_id=context.run_id,
        status="failed",
        base=base,
        commit=commit,
        error=f"{type(error).__name__}: {error}",
        left_out=unsettled(error),
    )
    run.home.store.put(_place(summary, "summary.json"), _encode(summary))
    return summary


def read_text(
    spec: DatasetSpec,
    summary: RunSummary,
    *,
    credentials: Credentials | None = None,
    lakefs: LakeFSAccess | None = None,
) -> str:
    """What the terminal says at the end of a run; the home is opened as ``open_home`` does."""
    home = open_home(spec.home, credentials=credentials, lakefs=lakefs)
    return home.store.get(_place(summary, "summary.txt")).decode()


def _write_pages(
    run: Run, summary: RunSummary, published: Published, known: Sequence[LeftOut]
) -> None:
    context, store = run.context, run.home.store
    ref = summary.tag or summary.commit or summary.waits or summary.base
    dataset = None
    if ref is not None:
        dataset = open_dataset(
            context.spec.home, ref, credentials=context.credentials, lakefs=context.lakefs
        )
    examples = Examples() if dataset is None else example_searches(dataset, context.spec)
    searches, notes = examples.searches, (*examples.notes, *published.notes, *published.reasons)
    page = write_report(
        summary,
        dataset,
        spec=context.spec,
        align_report=published.report.alignment,
        transfer=published.report.transfer_facts,
        gate=published.gate,
        notes=notes,
        searches=searches,
        known=known,
        provenance=published.report.provenance,
    )
    text = text_summary(
        summary,
        spec=context.spec,
        searches=searches,
        notes=notes,
        report=_page(run),
        seconds=(now() - context.started_at).total_seconds(),
    )
    for key in (_place(summary, REPORT), REPORT):
        store.put(key, page.encode(), content_type="text/html; charset=utf-8")
    store.put(_place(summary, "summary.txt"), text.encode(), content_type="text/plain")
    # Last: whoever waits for the summary finds the report there.
    store.put(_place(summary, "summary.json"), _encode(summary), content_type="application/json")


def _page(run: Run) -> str:
    """Where the newest page lies, in the words of the spec: b2:// stays b2://."""
    home = run.context.spec.home
    return f"{home.rstrip('/')}/{REPORT}" if "://" in home else run.home.store.uri(REPORT)


def _place(summary: RunSummary, name: str) -> str:
    return f"runs/{summary.run_id}/{name}"


def _encode(summary: RunSummary) -> bytes:
    return (summary.model_dump_json(indent=2) + "\n").encode()
