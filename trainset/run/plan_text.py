"""A plan report for people: tables and sentences for a terminal, and for Prefect's UI."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from trainset.report.wording import many, short, size, took
from trainset.run.plan_report import PlanReport
from trainset.run.plan_tally import Count

SHOWN = 20  # folders that could not be listed; JSON has all
Rows = list[tuple[str, ...]]


def plan_text(report: PlanReport) -> str:
    """For a terminal."""
    blocks = [_head(report), _table(_source_rows(report))]
    if report.rules:
        blocks.append(_table(_rule_rows(report)))
    blocks.append("\n".join(_pairs(plan_rows(report))))
    blocks.append("\n".join(_notes(report)))
    return "\n\n".join(block for block in blocks if block)


def plan_markdown(report: PlanReport) -> str:
    """For an artifact."""
    blocks = [_head(report), _markdown(_source_rows(report))]
    if report.rules:
        blocks.append(_markdown(_rule_rows(report)))
    blocks.append(_markdown([("what", "how much"), *plan_rows(report)]))
    blocks.append("\n\n".join(_notes(report)))
    return "\n\n".join(block for block in blocks if block)


def plan_rows(report: PlanReport) -> list[tuple[str, str]]:
    """Work, money and time, as pairs of words."""
    cost, calls = report.cost, report.cost.requests
    stay = f"{_count(report.adopting)}, of which {_count(report.read_in_place)} are read"
    stay += f"; {report.repinning:,} pinned anew" if report.repinning else ""
    gone = f"{report.missing:,} since the commit, {report.still_missing:,} before it"
    rows = [
        ("gone from source", gone + (f"; {report.returned:,} back" if report.returned else "")),
        (
            "requests",
            f"A (PUT, parts) {calls.A:,}; B (GET, HEAD) {calls.B:,}; C (List) {calls.C:,}; "
            f"verified at {report.verify}",
        ),
        (
            "storage",
            f"{money(cost.storage_month, cost.currency)} a month more, "
            f"{money(cost.storage_month_after, cost.currency)} with what is there already",
        ),
        ("once", f"{money(cost.once, cost.currency)} for requests, egress and the sources"),
    ]
    if report.adopting.files:
        rows.insert(0, ("adopted in place", stay))
    if calls.source_reads or calls.source_lists:
        rows.insert(
            2 + bool(report.adopting.files),
            ("at the sources", f"{calls.source_reads:,} reads, {calls.source_lists:,} lists"),
        )
    if cost.locked:
        rows.append(
            (
                "Object Lock",
                f"{money(cost.locked, cost.currency)} of storage that no deletion can save",
            )
        )
    if cost.bandwidth_s is None:
        time = f"{took(cost.requests_s)} at least, by requests; give --bandwidth for the bytes"
    else:
        time = (
            f"{took(cost.seconds)}, bound by {cost.bound} "
            f"(bytes {took(cost.bandwidth_s)}, requests {took(cost.requests_s)})"
        )
    return [*rows, ("time", time), ("prices", f"{cost.card}, {cost.card_date}")]


def money(amount: Decimal, currency: str) -> str:
    """``6.95 USD``; below a cent, but not nothing: ``< 0.01 USD``."""
    cent = Decimal("0.01")
    if 0 < amount < cent:
        return f"< {cent} {currency}"
    return f"{amount.quantize(cent):,} {currency}"


def _head(report: PlanReport) -> str:
    against = f"commit {report.commit[:12]}" if report.commit else "an empty home"
    return f"Plan of {report.dataset} into {report.home}, against {against}; nothing was read."


def _source_rows(report: PlanReport) -> Rows:
    head = ("source", "listed", "there already", "to move", "too young", "skipped", "refused")
    rows: Rows = [head]
    for line in report.sources:
        rows.append(
            (
                line.name,
                _count(line.listed),
                _count(line.there),
                _count(line.moving),
                _count(line.too_young),
                _count(line.skipped),
                _count(line.refused),
            )
        )
    if len(report.sources) > 1:
        rows.append(
            (
                "all",
                _count(report.listed),
                _count(report.there),
                _count(report.moving),
                _count(report.too_young),
                _count(report.skipped),
                _count(report.refused),
            )
        )
    return rows


def _rule_rows(report: PlanReport) -> Rows:
    rows: Rows = [("rule", "what it does", "files", "to")]
    for line in report.rules:
        count = _count(Count(files=line.files, bytes=line.bytes))
        rows.append((line.name, line.does, count, line.to or ""))
    return rows


def _notes(report: PlanReport) -> list[str]:
    lines = []
    if report.home_is_folder:
        lines.append("The home is a folder, which costs nothing: the prices are those of B2.")
    if report.elsewhere.files:
        lines.append(
            f"Rules send {_count(report.elsewhere)} to folders; that is not in the prices."
        )
    for one in report.unlisted[:SHOWN]:
        lines.append(f"Not listed: {short(one.prefix)}: {one.reason}")
    if (more := len(report.unlisted) - SHOWN) > 0:
        lines.append(f"… and {many(more, 'folder')} more, in --format json")
    for odd in report.unusable_shown[:SHOWN]:
        lines.append(f"No file of a dataset: {short(odd.key)}: {odd.reason}")
    if (more := report.unusable - SHOWN) > 0:
        lines.append(f"… and {more:,} more of these")
    lines.append(f"Prices are of {report.cost.card_date}: {report.cost.card_note}.")
    return lines


def _count(count: Count) -> str:
    return f"{count.files:,} ({size(count.bytes)})" if count.files else "0"


def _pairs(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{name:<18}{text}" for name, text in rows]


def _table(rows: Rows) -> str:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _markdown(rows: Rows) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(rows[0]), line(["---"] * len(rows[0])), *map(line, rows[1:])])
