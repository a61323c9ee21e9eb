"""What a run prints at its end: the same facts as the page, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import fill

from trainset.model import GIT, CellTotals, LeftOut, MetadataTotals, RunSummary, TransferTotals
from trainset.report.howto import approve_run, in_terminal
from trainset.report.model import Search
from trainset.report.wording import (
    STATUS,
    by_kind,
    kind_title,
    many,
    reason_and_step,
    short,
    size,
    took,
)
from trainset.spec import DatasetSpec

WIDTH = 100
SHOWN = 3  # items of each kind that are written out; the page has all
_ASKED = {
    "text": "pictures that show",
    "image": "pictures like",
    "words": "text found in the picture:",
    "filter": "rows where",
}


def text_summary(
    summary: RunSummary,
    *,
    spec: DatasetSpec | None = None,
    searches: Sequence[Search] = (),
    notes: Sequence[str] = (),
    report: Path | str | None = None,
    seconds: float | None = None,
) -> str:
    """The end of a run in plain text, lines of at most about 100 characters but for keys and paths.

    Args:
        spec: names the dataset and where it lies.
        report: where the HTML page lies.
        seconds: how long the run took.
    """
    lines = [*_head(summary, spec, seconds), *_counts(summary), *_left_out(summary)]
    lines += _searches(searches)
    lines += [f"Note: {note}" for note in notes] + ([""] if notes else [])
    lines += _places(summary, spec, report)
    return "\n".join(lines).rstrip() + "\n"


def _head(summary: RunSummary, spec: DatasetSpec | None, seconds: float | None) -> Iterator[str]:
    time = f" in {took(seconds)}" if seconds is not None else ""
    yield f"{spec.name if spec else 'Run'}: {summary.status}{time}. {STATUS[summary.status]}"
    if summary.error:
        yield f"  {summary.error}"
    if summary.commit:
        tag = f"   tag {summary.tag}" if summary.tag else ""
        where = f" of {spec.versions}" if spec and spec.versions != GIT else ""
        yield f"  version      commit {summary.commit[:12]}{tag}{where}"
    elif summary.base:
        yield f"  version      commit {summary.base[:12]}, as before"
    if summary.decision:
        yield f"  decision     {summary.decision.said}"
    if summary.waits:
        yield f"  waiting      commit {summary.waits[:12]}, on the branch of run {summary.run_id}"


def _counts(summary: RunSummary) -> Iterator[str]:
    """A line a stage; of those that did not run there is nothing to tell."""
    moved, labels, cells = summary.transfer, summary.metadata, summary.cells
    if moved != TransferTotals():
        yield _transferred(moved)
    if labels != MetadataTotals():
        yield _matched(labels)
    if cells != CellTotals():
        rest = ((cells.cached, "from the cache"), (cells.failed, "failed"))
        yield _listing("computed", many(cells.computed, "value"), *rest)
    yield ""


def _transferred(moved: TransferTotals) -> str:
    return _listing(
        "transferred",
        f"{many(moved.sent, 'file')} ({size(moved.bytes)})",
        (moved.skipped, "there already or passed over"),
        (moved.duplicate, "same bytes as another"),
        (moved.deferred, "waiting for the next run"),
        (moved.failed, "failed"),
    )


def _matched(labels: MetadataTotals) -> str:
    return _listing(
        "matched",
        f"{labels.matched:,} of {many(labels.rows, 'label record')}",
        (labels.orphan_records, "without a media file"),
        (labels.ambiguous, "fit several files"),
        (labels.quarantined, "unusable"),
        (labels.orphan_media, "media files without a label"),
    )


def _listing(name: str, first: str, *rest: tuple[int, str]) -> str:
    """One stage's line: the first part, and those of the rest that are not zero."""
    parts = ", ".join([first, *(f"{count:,} {what}" for count, what in rest if count)])
    indent = " " * 15
    return fill(parts, WIDTH, initial_indent=f"  {name:13}", subsequent_indent=indent)


def _left_out(summary: RunSummary) -> Iterator[str]:
    if summary.left_out:
        yield f"Left out, new in this run: {many(len(summary.left_out), 'item')}"
        for kind, items in by_kind(summary.left_out):
            yield f"  {kind_title(kind)}: {len(items):,}"
            for item in items[:SHOWN]:
                yield from _item(item)
            if len(items) > SHOWN:
                yield f"    … and {len(items) - SHOWN:,} more, in the report"
    else:
        yield "Left out, new in this run: nothing"
    if summary.known_left_out:
        yield f"  reported by earlier runs already: {summary.known_left_out:,}"
    yield ""


def _item(item: LeftOut) -> Iterator[str]:
    what, step = reason_and_step(item.reason)
    yield f"    {short(item.key, 90)}"
    yield f"      {short(what, WIDTH - 6)}"
    if step:
        yield f"      → {short(step, WIDTH - 8)}"


def _searches(searches: Iterable[Search]) -> Iterator[str]:
    for search in searches:
        yield f"Example: {_ASKED[search.kind]} {short(search.query, 70)}"
        for hit in search.hits[:3]:
            score = f"{hit.score:6.3f}  " if hit.score is not None else ""
            text = f"   {short(hit.text, 40)}" if hit.text else ""
            yield f"  {score}{short(hit.key, 50)}{text}"
        if not search.hits:
            yield f"  {search.note or 'no answer'}"
        yield ""


def _places(
    summary: RunSummary, spec: DatasetSpec | None, report: Path | str | None
) -> Iterator[str]:
    if summary.exports:
        yield "Exports"
    for export in summary.exports:
        yield f"  {export.name} ({export.format}, {many(export.samples, 'sample')})"
        yield f"    {spec.home.rstrip('/') + '/' if spec else ''}{export.path}"
    if report is not None:
        yield f"Report\n  {report}"
    ref = summary.tag or summary.commit or summary.waits or summary.base
    if spec is None or ref is None:
        return
    yield "Next"
    lines = approve_run(summary.run_id).splitlines() if summary.waits else []
    for line in (*lines, *in_terminal(spec, ref).splitlines()):
        yield f"  {line}"
