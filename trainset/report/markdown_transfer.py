"""The transfer report for Prefect's UI: what moved, what did not and why, and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from trainset.model import LeftOut, TransferTotals
from trainset.report.markdown_table import code, escape, left_out_lines, table
from trainset.report.wording import kind_title, many, reason_and_step, size, took

if TYPE_CHECKING:
    from trainset.transfer.report_facts import TransferFacts

LEVELS = {
    "L0": "not verified",
    "L1": "the store checked the upload",
    "L2": "size and ETag compared with a listing",
    "L3": "read back and hashed",
    "L4": "read back, and the source read again",
}


class HasTransfer(Protocol):
    """A report of the transfer stage."""

    transfer: TransferTotals | None
    left_out: tuple[LeftOut, ...]


def transfer_markdown(
    report: HasTransfer | TransferTotals,
    facts: TransferFacts | None = None,
    *,
    seconds: float | None = None,
    run_id: str | None = None,
    home: str | None = None,
    provenance: str | None = None,
) -> str:
    """What was moved, and what was not and why.

    Args:
        facts: of the per-file report; None: there is none.
        seconds: how long the transfer took, for its speed; None: as ``facts`` say.
        run_id: names the folder that has a row a file.
        home: for the commands that look further.
        provenance: head of the run's hash chain of events.
    """
    if isinstance(report, TransferTotals):
        totals, left_out = report, tuple[LeftOut, ...]()
    else:
        totals, left_out = report.transfer or TransferTotals(), report.left_out
    lines = [*table(("files", "count"), _counts(totals, facts)), "", _balance(totals)]
    lines += ["", *table(("how", ""), _how(totals, facts, seconds, provenance))]
    if facts is not None:
        lines += _facts(totals, facts)
    where = f"`runs/{run_id}/transfer.csv`" if run_id else "`transfer.csv`"
    lines += left_out_lines(left_out, where=where)
    return "\n".join([*lines, *_further(totals, facts, run_id, home)])


def _counts(totals: TransferTotals, facts: TransferFacts | None) -> list[tuple[str, str]]:
    away = facts.turned_away if facts is not None else 0
    rows = [("sent", f"{totals.sent:,}"), ("there already", f"{totals.skipped - away:,}")]
    if away:
        rows.append(("passed over by a rule", f"{away:,}"))
    return [
        *rows,
        ("same bytes as another file", f"{totals.duplicate:,}"),
        ("waiting for the next run", f"{totals.deferred:,}"),
        ("failed", f"{totals.failed:,}"),
        ("**seen at the sources**", f"**{totals.planned:,}**"),
    ]


def _balance(totals: TransferTotals) -> str:
    if totals.balances:
        return "The totals balance."
    return "**The totals do not balance.** Run again, and report this as a fault of trainset."


def _how(
    totals: TransferTotals,
    facts: TransferFacts | None,
    seconds: float | None,
    provenance: str | None,
) -> list[tuple[str, str]]:
    rows = [("bytes moved", size(totals.bytes))]
    if seconds is None and facts is not None:
        seconds = facts.seconds
    if seconds and totals.bytes:
        moved = totals.sent + totals.duplicate
        rate = f"{totals.bytes / seconds / 1e6:,.1f} MB/s, {moved / seconds:,.1f} files/s"
        rows.append(("speed", f"{rate} over {took(seconds)}"))
    if facts is not None and facts.verified:
        levels = [f"{n:,} at {at} ({LEVELS[at]})" for at, n in facts.verified.items()]
        rows.append(("verified", ", ".join(levels)))
    if facts is not None and facts.retried:
        rows.append(("took more than one try", many(facts.retried, "file")))
    if provenance:
        rows.append(("provenance head", code(provenance[:16])))
    return rows


def _facts(totals: TransferTotals, facts: TransferFacts) -> list[str]:
    """By source and by rule, what rules passed over, and the files that cost the most."""
    lines: list[str] = []
    if facts.sources:
        head = ("source", "sent", "skipped", "duplicate", "waits", "failed", "moved")
        rows = [
            (
                code(s.source, 30),
                *(f"{n:,}" for n in (s.sent, s.skipped, s.duplicate, s.deferred, s.failed)),
                size(s.bytes),
            )
            for s in facts.sources
        ]
        lines += ["", *table(head, rows)]
    if (odd := totals.failed - sum(s.failed for s in facts.sources)) > 0:
        lines += ["", f"And {many(odd, 'entry', 'entries')} that can be no file of the dataset."]
    if facts.routes:
        routes = [(code(r.route, 30), f"{r.files:,}", size(r.bytes)) for r in facts.routes]
        lines += ["", *table(("rule", "files", "moved"), routes)]
    for kind in facts.kinds:
        if kind.status == "skipped":  # the others are among what was left out, each with its step
            what, step = reason_and_step(kind.reason)
            first = escape(f"First {code(kind.key)}: {what}." + (f" Next: {step}." if step else ""))
            lines += ["", f"**{kind_title(kind.kind)}: {kind.files:,}.** {first}"]
    for title, files in (("slowest", facts.slowest), ("largest", facts.largest)):
        costs = [(code(f.key), size(f.size), took(f.duration_ms / 1e3)) for f in files]
        if len(costs) > 1:
            lines += ["", *table((f"{title} files", "size", "took"), costs)]
    return lines


def _further(
    totals: TransferTotals, facts: TransferFacts | None, run_id: str | None, home: str | None
) -> list[str]:
    lines = []
    if run_id and facts is not None:
        lines += [
            "",
            f"Every file that was looked at has a row in `runs/{run_id}/transfer.parquet`.",
        ]
    if totals.failed and home:
        lines += [
            "",
            f"What was given up stays listed: `trainset dead-letters {home}`. When it is mended: "
            "`python -m flows transfer-media dataset.yaml --retry-dead`.",
        ]
    if totals.deferred:
        lines += ["", "What waits is taken by the next run, with nothing to do."]
    return lines
