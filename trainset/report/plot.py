"""The histogram of classes as a drawing inside the page: SVG in the page's own colours."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from trainset.report.alignment import ClassBar
from trainset.report.wording import short

# In units of the drawing, which the page scales to its width.
WIDTH, ROW, LABEL, COUNT = 720, 24, 190, 130
_NAME = 26  # characters of a class name; the whole name shows when it is pointed at


def class_plot(bars: Sequence[ClassBar]) -> str:
    """One bar a class, with a tick where it stood at the commit before; "" without classes.

    Colours are the page's variables. A new class has another one and the word ``new``,
    a gone one its tick alone and the word ``gone``: nothing hangs on colour.
    """
    if not bars:
        return ""
    top = max(max(bar.count, bar.before or 0) for bar in bars) or 1
    height = ROW * len(bars) + 4
    rows = "".join(_row(bar, at, top) for at, bar in enumerate(bars))
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Labels by class">{rows}</svg>'
    )


def _row(bar: ClassBar, at: int, top: int) -> str:
    y, span = at * ROW + 2, WIDTH - LABEL - COUNT
    middle = y + ROW / 2 + 4
    name, whole = escape(short(bar.name, _NAME)), escape(bar.name)
    width = max(span * bar.count / top, 2 if bar.count else 0)
    parts = [
        f"<g><title>{whole}: {bar.count:,}{_then(bar)}</title>",
        f'<text x="{LABEL - 10}" y="{middle:.0f}" text-anchor="end">{name}</text>',
        f'<rect class="now{" new" if bar.mark == "new" else ""}" x="{LABEL}" y="{y + 5}" '
        f'width="{width:.1f}" height="{ROW - 10}" rx="2"></rect>',
    ]
    if bar.before:
        x = LABEL + span * bar.before / top
        parts.append(
            f'<line class="before" x1="{x:.1f}" x2="{x:.1f}" y1="{y + 2}" y2="{y + ROW - 2}">'
            "</line>"
        )
    right = LABEL + max(width, span * (bar.before or 0) / top) + 8
    mark = f' <tspan class="mark">{bar.mark}</tspan>' if bar.mark else ""
    count = f"{bar.count:,}{_change(bar)}{mark}"
    return "".join([*parts, f'<text x="{right:.1f}" y="{middle:.0f}">{count}</text></g>'])


def _then(bar: ClassBar) -> str:
    return "" if bar.before is None else f", {bar.before:,} at the commit before"


def _change(bar: ClassBar) -> str:
    change = 0 if bar.before is None or bar.mark else bar.count - bar.before
    return f" ({change:+,})" if change else ""
