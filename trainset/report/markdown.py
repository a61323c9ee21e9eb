"""Markdown for Prefect's artifacts: tables and sentences, which both of its UIs render.

No nested lists, no mermaid, no footnotes, no links to ``s3://``: one of the two UIs breaks each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from trainset.model import LeftOut, RunSummary, TransferTotals
from trainset.report.alignment import alignment_counts, label_findings
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

if TYPE_CHECKING:
    from trainset.transfer.report_facts import TransferFacts

RETRY = "python -m flows transfer-media <spec> --retry-dead"
SHOWN = 20  # items of each kind in an artifact; summary.json has all


class HasTransfer(Protocol):
    """A report of the transfer stage."""

    transfer: TransferTotals | None
    left_out: tuple[LeftOut, ...]


class HasAlignment(Protocol):
    """A report of the alignment step (the fields of ``metadata.AlignReport``)."""

    alignment: dict[str, Any]


class HasGate(Protocol):
    """Where a run's work went."""

    status: str
    commit: str | None
    tag: str | None
    gate: Sequence[Any]
    reasons: tuple[str, ...]


def run_markdown(summary: RunSummary) -> str:
    """The run at a glance, and what it left out."""
    moved, labels, cells = summary.transfer, summary.metadata, summary.cells
    version = f"`{summary.commit[:12]}`" if summary.commit else "none new"
    rows = [
        ("version", version + (f", tag `{summary.tag}`" if summary.tag else "")),
        ("transferred", f"{many(moved.sent, 'file')}, {size(moved.bytes)}"),
        ("there already", many(moved.skipped, "file")),
        ("labels matched", f"{labels.matched:,} of {labels.rows:,}"),
        ("values computed", f"{cells.computed:,}, {cells.cached:,} from the cache"),
        ("values failed", f"{cells.failed:,}"),
        *((f"export {e.name}", f"{many(e.samples, 'sample')}, {e.path}") for e in summary.exports),
        ("left out, new", f"{len(summary.left_out):,}"),
        ("left out, known", f"{summary.known_left_out:,}"),
    ]
    return "\n".join(
        [
            f"**{summary.status.capitalize()}.** {STATUS[summary.status]}",
            "",
            *_table(("", ""), rows),
            *_left_out(summary.left_out),
        ]
    )


def transfer_markdown(
    report: HasTransfer | TransferTotals,
    facts: TransferFacts | None = None,
    *,
    seconds: float | None = None,
) -> str:
    """What was moved, and what was not and why.

    Args:
        facts: of the per-file report; None: there is none.
        seconds: how long the transfer took, for its speed.
    """
    if isinstance(report, TransferTotals):
        totals, left_out = report, tuple[LeftOut, ...]()
    else:
        totals, left_out = report.transfer or TransferTotals(), report.left_out
    rows = [
        ("sent", f"{totals.sent:,}"),
        ("there already", f"{totals.skipped:,}"),
        ("same bytes as another file", f"{totals.duplicate:,}"),
        ("waiting for the next run", f"{totals.deferred:,}"),
        ("failed", f"{totals.failed:,}"),
        ("**seen at the sources**", f"**{totals.planned:,}**"),
        ("bytes moved", size(totals.bytes)),
    ]
    if seconds:
        moved = totals.sent + totals.duplicate
        rate = f"{totals.bytes / seconds / 1e6:,.1f} MB/s, {moved / seconds:,.1f} files/s"
        rows.append(("speed", f"{rate} over {took(seconds)}"))
    if facts is not None and facts.verified:
        levels = ", ".join(f"{n:,} at {level}" for level, n in facts.verified.items())
        rows.append(("verified", levels))
    if facts is not None and facts.retried:
        rows.append(("took more than one try", f"{facts.retried:,}"))
    balance = "The totals balance." if totals.balances else "**The totals do not balance.**"
    lines = [*_table(("files", "count"), rows), "", balance]
    if facts is not None:
        lines += _transfer_facts(facts)
    return "\n".join([*lines, *_left_out(left_out)])


def _transfer_facts(facts: TransferFacts) -> list[str]:
    """Notices of what kept files back, each once; routes; the files that cost the most."""
    lines = []
    for kind in facts.kinds:
        verb = {"failed": "failed with", "deferred": "wait:"}.get(kind.status, "were passed over:")
        verb = "stay where they are:" if kind.kind == "repinned" else verb
        what, step = reason_and_step(kind.reason)
        if kind.status == "failed" and RETRY not in step:
            step = f"{step}; {RETRY}" if step else RETRY
        lines += ["", f"**{many(kind.files, 'file')} {verb} {_escape(kind.kind)}.**"]
        lines += [f"First `{_escape(short(kind.key, 70))}`: {_escape(what)}."]
        lines += [f"Next: {_escape(step)}."] if step else []
    if facts.routes:
        routes = [(r.route, f"{r.files:,}", size(r.bytes)) for r in facts.routes]
        lines += ["", *_table(("rule", "files", "moved"), routes)]
    for title, files in (("slowest", facts.slowest), ("largest", facts.largest)):
        costs = [(f"`{short(f.key, 70)}`", size(f.size), took(f.duration_ms / 1e3)) for f in files]
        if costs:
            lines += ["", *_table((f"{title} files", "size", "took"), costs)]
    return lines


def align_markdown(report: HasAlignment | Mapping[str, Any]) -> str:
    """How labels met media, and what is odd about them."""
    facts = report if isinstance(report, Mapping) else report.alignment
    counts = alignment_counts(facts)
    if not counts:
        return "There are no labels."
    lines = _table(("labels", "count"), [(words, f"{count:,}") for words, count in counts])
    for finding in label_findings(facts):
        lines += ["", f"**{finding.count:,} {finding.title}**", ""]
        lines += [f"- {_escape(example)}" for example in finding.examples]
        if finding.count > len(finding.examples):
            lines += ["", f"… and {finding.count - len(finding.examples):,} more"]
    return "\n".join(lines)


def gate_markdown(verdict: HasGate) -> str:
    """What the gate looked at, and where main is now."""
    if verdict.status == "completed" and verdict.commit:
        moved = f"main moved to `{verdict.commit[:12]}`"
    else:
        moved = "main stays where it was"
    tag = f", tagged `{verdict.tag}`" if verdict.tag else ""
    rows = [(r.check, r.value, r.limit, r.verdict) for r in verdict.gate]
    lines = [f"**{verdict.status.capitalize()}**: {moved}{tag}."]
    lines += (
        ["", *(f"- {_escape(reason)}" for reason in verdict.reasons)] if verdict.reasons else []
    )
    if rows:
        lines += ["", *_table(("check", "found", "limit", "verdict"), rows)]
    return "\n".join(lines)


def _left_out(items: Iterable[LeftOut]) -> list[str]:
    lines: list[str] = []
    for kind, group in by_kind(items):
        rows = [(f"`{short(i.key, 70)}`", *reason_and_step(i.reason)) for i in group[:SHOWN]]
        lines += ["", f"**{kind_title(kind)}: {len(group):,}**", ""]
        lines += _table(("which", "why", "what to do"), rows)
        if len(group) > SHOWN:
            lines += ["", f"… and {len(group) - SHOWN:,} more, in `summary.json`"]
    return lines


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_escape(cell) for cell in row) + " |" for row in rows]
    return lines


def _escape(text: str) -> str:
    """Keys and errors come from outside: no cell breaks, no HTML."""
    plain = " ".join(str(text).split())
    return plain.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
