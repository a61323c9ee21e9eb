"""Markdown for Prefect's artifacts: tables and sentences, which both of its UIs render.

No nested lists, no mermaid, no footnotes, no links to ``s3://``: one of the two UIs breaks each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from trainset.model import Decision, RunSummary
from trainset.report.howto import approve_run
from trainset.report.markdown_labels import align_markdown
from trainset.report.markdown_table import code, escape, left_out_lines, table
from trainset.report.markdown_transfer import transfer_markdown
from trainset.report.wording import STATUS, many, size

__all__ = ["align_markdown", "gate_markdown", "run_markdown", "transfer_markdown"]

IN_SUMMARY = 5  # items of each kind; the stages' own artifacts have more


class HasGate(Protocol):
    """Where a run's work went."""

    status: str
    commit: str | None
    tag: str | None
    gate: Sequence[Any]
    reasons: tuple[str, ...]
    waits: str | None
    decision: Decision | None


def run_markdown(summary: RunSummary, *, home: str | None = None) -> str:
    """The run at a glance, and what it left out; stages that had nothing to do are not told.

    Args:
        home: of the dataset; with it the page and the commands that open this version are named.
    """
    rows = [*_stages(summary), ("left out, new in this run", f"{len(summary.left_out):,}")]
    if summary.known_left_out:
        rows.append(("left out, told by earlier runs", f"{summary.known_left_out:,}"))
    lines = [f"**{summary.status.capitalize()}.** {STATUS[summary.status]}", ""]
    lines += table(("what", "how much"), rows)
    if home is not None:
        page = f"{home.rstrip('/')}/runs/{summary.run_id}/report.html"
        lines += ["", f"The whole report, with pictures: {code(page, 200)}"]
        if ref := summary.tag or summary.commit or summary.waits:
            lines += ["", f"Look at this version: `trainset query {home} --ref {ref}`"]
    if summary.waits:
        lines += ["", *_how_to_approve(summary.run_id)]
    return "\n".join([*lines, *left_out_lines(summary.left_out, shown=IN_SUMMARY)])


def _how_to_approve(run_id: str) -> list[str]:
    """For a run without a form in the UI to answer."""
    return ["If no form asks for it:", "", *(f"    {c}" for c in approve_run(run_id).splitlines())]


def _stages(summary: RunSummary) -> list[tuple[str, str]]:
    moved, labels, cells = summary.transfer, summary.metadata, summary.cells
    version = f"`{summary.commit[:12]}`" if summary.commit else "none new"
    rows = [("version", version + (f", tag `{summary.tag}`" if summary.tag else ""))]
    rows += [("waits for approval", f"`{summary.waits[:12]}`")] if summary.waits else []
    rows += [("decision", escape(summary.decision.said))] if summary.decision else []
    if moved.planned:
        rows += [
            ("files sent", f"{moved.sent:,} ({size(moved.bytes)})"),
            ("there already, or passed over by a rule", f"{moved.skipped:,}"),
        ]
        rest = ((moved.duplicate, "same bytes as another file"), (moved.deferred, "files waiting"))
        rows += [(words, f"{n:,}") for n, words in (*rest, (moved.failed, "files failed")) if n]
    if labels.rows:
        rows.append(("labels matched", f"{labels.matched:,} of {labels.rows:,}"))
        lost = (
            (labels.orphan_records, "labels without their file"),
            (labels.ambiguous, "labels that fit several files"),
            (labels.quarantined, "label records set aside"),
        )
        rows += [(words, f"{n:,}") for n, words in lost if n]
    if cells.computed or cells.cached or cells.failed:
        rows.append(("values computed", f"{cells.computed:,}, {cells.cached:,} from the cache"))
        rows += [("values failed", f"{cells.failed:,}")] if cells.failed else []
    rows += [
        (f"export {e.name}", f"{many(e.samples, 'sample')}, {code(e.path)}")
        for e in summary.exports
    ]
    return rows


def gate_markdown(verdict: HasGate) -> str:
    """What the gate looked at, and where main is now."""
    if verdict.status == "completed" and verdict.commit:
        moved = f"main moved to `{verdict.commit[:12]}`"
    else:
        moved = "main stays where it was"
    tag = f", tagged `{verdict.tag}`" if verdict.tag else ""
    rows = [(r.check, r.verdict, r.value, r.limit) for r in verdict.gate]
    if verdict.waits is not None:
        moved += f" until somebody approves `{verdict.waits[:12]}`"
    lines = [f"**{verdict.status.capitalize()}**: {moved}{tag}."]
    if verdict.decision is not None:
        lines += ["", f"{escape(verdict.decision.said)}."]
    if verdict.waits is not None:
        lines += ["", *(f"- {escape(reason)}" for reason in verdict.reasons)]
    elif verdict.status == "refused" and verdict.reasons:
        lines += ["", *(f"- {escape(reason)}" for reason in verdict.reasons), ""]
        lines += ["Next: do what these lines say, or raise the limits under `gate:` of the spec;"]
        lines[-1] += " the same command then takes up the work: what was sent is not sent again."
    if rows:
        lines += ["", *table(("check", "verdict", "found", "limit"), rows)]
    return "\n".join(lines)
