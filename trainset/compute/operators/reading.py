"""Reading order: text boxes as lines from top to bottom, words from left to right."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Quad = Sequence[Sequence[float]]  # four corners (x, y), clockwise from the text's upper left


@dataclass(frozen=True)
class Box:
    """One piece of text and where it stands."""

    text: str
    quad: Quad


def reading_order(boxes: Sequence[Box]) -> list[list[Box]]:
    """Boxes grouped into lines, in the order in which one reads them.

    The page's tilt (the median angle of the boxes' upper edges, weighted by nothing) is taken out
    first, so that a line that a detector cut in two stays one line on a crooked photograph. One
    column is assumed.
    """
    if not boxes:
        return []
    tilt = statistics.median(_angle(box.quad) for box in boxes)
    cos, sin = math.cos(-tilt), math.sin(-tilt)
    placed = []
    for box in boxes:
        xs = [x * cos - y * sin for x, y in box.quad]
        ys = [x * sin + y * cos for x, y in box.quad]
        placed.append((min(ys), max(ys), min(xs), box))
    placed.sort(key=lambda p: ((p[0] + p[1]) / 2, p[2]))
    lines: list[list[tuple[float, float, float, Box]]] = []
    for item in placed:
        if lines and _same_line(lines[-1], item):
            lines[-1].append(item)
        else:
            lines.append([item])
    return [[p[3] for p in sorted(line, key=lambda p: p[2])] for line in lines]


def _angle(quad: Quad) -> float:
    (x0, y0), (x1, y1) = quad[0], quad[1]
    return math.atan2(y1 - y0, x1 - x0)


def _same_line(
    line: Sequence[tuple[float, float, float, Box]], item: tuple[float, float, float, Box]
) -> bool:
    """Its middle lies within the line's own middle half."""
    top = statistics.median(p[0] for p in line)
    bottom = statistics.median(p[1] for p in line)
    middle = (item[0] + item[1]) / 2
    quarter = (bottom - top) / 4
    return top + quarter <= middle <= bottom - quarter
