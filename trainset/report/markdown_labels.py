"""The alignment report for Prefect's UI: tables, and a histogram of classes drawn with blocks.

Neither UI shows an SVG in markdown, so bars are characters; the drawing is in ``report.html``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from trainset.model import LeftOut
from trainset.report.alignment import (
    ClassBar,
    alignment_counts,
    alignment_headline,
    class_bars,
    drift_words,
    label_findings,
    quarantine_rows,
    source_rows,
)
from trainset.report.markdown_table import code, escape, table
from trainset.report.wording import many

BAR = 24  # characters of the longest bar
_EIGHTHS = " ▏▎▍▌▋▊▉"


class HasAlignment(Protocol):
    """A report of the alignment step (the fields of ``metadata.AlignReport``)."""

    alignment: dict[str, Any]


def align_markdown(
    report: HasAlignment | Mapping[str, Any],
    *,
    run_id: str | None = None,
    left_out: Iterable[LeftOut] = (),
) -> str:
    """How labels met media, and what is odd about them.

    Args:
        run_id: names the folder with ``alignment.parquet``, which has all findings.
        left_out: of the syncs: records that were set aside are counted from it.
    """
    facts = report if isinstance(report, Mapping) else report.alignment
    counts = alignment_counts(facts)
    if not counts:
        return "There are no labels."
    lines = [f"**{alignment_headline(facts)}**", ""]
    lines += table(("labels", "count"), [(words, f"{count:,}") for words, count in counts])
    lines += _sources(facts) + _classes(facts)
    for finding in label_findings(facts):
        lines += ["", f"**{finding.count:,} {finding.title}**"]
        lines += ["", f"Next: {finding.step}."] if finding.step else []
        lines += ["", *(f"- {escape(example)}" for example in finding.examples)]
        if (more := finding.count - len(finding.examples)) > 0:
            lines += ["", f"… and {more:,} more{_place(run_id, finding.name)}"]
    return "\n".join(lines + _quarantine(left_out))


def bar(count: int, top: int) -> str:
    """A bar of blocks, to an eighth of a character; what is not nothing is seen."""
    eighths = max(round(8 * BAR * count / top), 1) if count and top else 0
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def _sources(facts: Mapping[str, Any]) -> list[str]:
    rows = source_rows(facts)
    if not rows:
        return []
    head = ("source", "labels", "matched", "file not here", "ambiguous", "last news, UTC")
    cells = [(code(name, 30), *(f"{n:,}" for n in ns), at) for name, *ns, at in rows]
    return ["", *table(head, cells)]


def _classes(facts: Mapping[str, Any]) -> list[str]:
    bars, more = class_bars(facts)
    if not bars:
        return []
    top, compared = max(b.count for b in bars), bars[0].before is not None
    lines = ["", "**Labels by class**", ""]
    lines += [drift_words(facts), ""] if compared else []
    head = ("class", "labels", *(("before",) if compared else ()), "")
    lines += table(head, [_class_row(b, top, compared) for b in bars])
    if more:
        lines += ["", f"… and {many(more, 'rarer class', 'rarer classes')}, in `alignment.json`"]
    return lines


def _class_row(b: ClassBar, top: int, compared: bool) -> Sequence[str]:
    mark = f" **{b.mark}**" if b.mark else ""
    before = (f"{b.before or 0:,}",) if compared else ()
    return (code(b.name, 36) + mark, f"{b.count:,}", *before, bar(b.count, top))


def _place(run_id: str | None, finding: str) -> str:
    if run_id is None or not finding:
        return ""
    return f", in `runs/{run_id}/alignment.parquet` where `finding = '{finding}'`"


def _quarantine(left_out: Iterable[LeftOut]) -> list[str]:
    rows = quarantine_rows(left_out)
    if not rows:
        return []
    total = sum(count for _, _, count, _ in rows)
    cells = [(code(s, 30), kind, f"{n:,}", code(place, 70)) for s, kind, n, place in rows]
    return [
        "",
        f"**{many(total, 'label record')} could not be used**",
        "",
        "Set aside with their originals; mend them at their source, the next sync takes them.",
        "",
        *table(("source", "why", "records", "originals, in the commit"), cells),
    ]
