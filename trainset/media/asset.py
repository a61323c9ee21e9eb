"""``Asset``: one medium's bytes, decoded at most once however many operators look at it."""

from __future__ import annotations

from typing import Any


class Asset:
    """Placeholder of the compute room: see the task of that room."""

    key: str
    data: bytes
    image: Any
