"""What all our markdown is made of: tables whose cells hold whatever a key holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trainset.model import LeftOut
from trainset.report.wording import by_kind, kind_title, reason_and_step, short

SHOWN = 20  # items of each kind in an artifact; files of the run have all


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a markdown table; both UIs need an empty line before it."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows]
    return lines


def escape(text: str) -> str:
    """Keys and errors come from outside: no cell breaks, no HTML."""
    plain = " ".join(str(text).split())
    return plain.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str, limit: int = 60) -> str:
    """A key or name in code style, before ``escape``: a backtick in it would end it early.

    The ends of a long one are kept; both say which it is.
    """
    return f"`{short(text, limit).replace('`', chr(0x2019))}`"


def left_out_lines(
    items: Iterable[LeftOut], *, where: str = "`summary.json`", shown: int = SHOWN
) -> list[str]:
    """Left-out items by kind; a next step that all of a kind share is said once, above them.

    Args:
        where: the file that has all.
        shown: at most so many of a kind.
    """
    lines: list[str] = []
    for kind, group in by_kind(items):
        told = [(code(i.key), *reason_and_step(i.reason)) for i in group[:shown]]
        lines += ["", f"**{kind_title(kind)}: {len(group):,}**", ""]
        steps = {step for _, _, step in told}
        if len(told) > 1 and len(steps) == 1 and (step := steps.pop()):
            lines += [f"Next: {escape(step)}.", ""]
            lines += table(("which", "why"), [(key, why) for key, why, _ in told])
        else:
            lines += table(("which", "why", "what to do"), told)
        if len(group) > shown:
            lines += ["", f"… and {len(group) - shown:,} more, in {where}"]
    return lines
