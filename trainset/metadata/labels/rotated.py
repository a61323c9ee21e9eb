"""Turned boxes and ellipses: their corners in pixels, and the upright box around points.

Angles are degrees clockwise as seen on the screen, where y grows downwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def corners(
    bbox: Sequence[float], degrees: float, *, about: tuple[float, float] | None = None
) -> list[float]:
    """The four corners ``x1, y1, … x4, y4`` of a turned box, from its top left one, clockwise.

    Args:
        bbox: x, y, width, height before it is turned.
        degrees: how far it is turned.
        about: the point that stays; None: the box's centre.
    """
    x, y, width, height = bbox
    centre = about or (x + width / 2, y + height / 2)
    flat: list[float] = []
    for px, py in ((x, y), (x + width, y), (x + width, y + height), (x, y + height)):
        flat += turned(px, py, degrees, centre)
    return flat


def turned(x: float, y: float, degrees: float, about: tuple[float, float]) -> tuple[float, float]:
    """A point turned about another one."""
    angle = math.radians(degrees)
    dx, dy = x - about[0], y - about[1]
    return (
        about[0] + dx * math.cos(angle) - dy * math.sin(angle),
        about[1] + dx * math.sin(angle) + dy * math.cos(angle),
    )


def hull(flat: Sequence[float]) -> list[float]:
    """The upright box x, y, width, height around points ``x1, y1, x2, y2 …``."""
    xs, ys = flat[::2], flat[1::2]
    left, top = min(xs), min(ys)
    return [left, top, max(xs) - left, max(ys) - top]


def ellipse_hull(cx: float, cy: float, rx: float, ry: float, degrees: float) -> list[float]:
    """The upright box around a turned ellipse."""
    angle = math.radians(degrees)
    half_width = math.hypot(rx * math.cos(angle), ry * math.sin(angle))
    half_height = math.hypot(rx * math.sin(angle), ry * math.cos(angle))
    return [cx - half_width, cy - half_height, 2 * half_width, 2 * half_height]
