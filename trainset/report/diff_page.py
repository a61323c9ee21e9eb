"""The page of a diff: what changed between two versions, with pictures, in one HTML file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainset.report.facts import cards_of
from trainset.report.model import Card
from trainset.report.templates import page_templates
from trainset.report.thumbs import draw_thumbs
from trainset.report.wording import short

if TYPE_CHECKING:
    from trainset.dataset import Dataset
    from trainset.dataset_diff import DatasetDiff
    from trainset.versions.base import TableChange
    from trainset.versions.diffrows import RowChange

ROWS = 200  # rows of one kind written out; the rest is counted
PICTURES = 24  # media shown of one kind
VALUE = 120  # characters of a value
HOW = {
    "added": "Added",
    "removed": "Removed",
    "changed": "Changed",
    "recomputed": "Computed again",
}


@dataclass(frozen=True)
class _Side:
    """Media of one of the versions, by key."""

    cards: dict[str, Card] = field(default_factory=dict)
    thumbs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Section:
    change: TableChange
    rows: dict[str, list[RowChange]]  # by what happened to them
    old: _Side
    new: _Side


def write_diff_page(diff: DatasetDiff) -> str:
    """Counts of every table that differs, its first rows with both values, and their pictures."""
    environment = page_templates()
    environment.filters["value"] = value_text
    return environment.get_template("diff.html.j2").render(
        diff=diff,
        sections=[_section(diff, change) for change in diff.tables],
        how=HOW,
        max_pictures=PICTURES,
    )


def value_text(value: Any) -> str:
    """One value on one line, for people; nothing where there is none."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, list) and len(value) > 8 and isinstance(value[0], (int, float)):
        return f"<{len(value):,} numbers>"
    if isinstance(value, (list, dict)):
        return short(json.dumps(value, ensure_ascii=False, default=str), VALUE)
    return short(f"{value:.6g}" if isinstance(value, float) else str(value), VALUE)


def _section(diff: DatasetDiff, change: TableChange) -> _Section:
    rows: dict[str, list[RowChange]] = {how: [] for how in HOW}
    for row in diff.changes(change.table, limit=ROWS):
        rows[row.how].append(row)
    for found in rows.values():
        found.sort(key=lambda row: row.key)
    if change.table != "media":
        return _Section(change, rows, _Side(), _Side())
    return _Section(
        change,
        rows,
        old=_pictures(diff.old, [*rows["removed"][:PICTURES], *rows["changed"][:PICTURES]]),
        new=_pictures(diff.new, [*rows["added"][:PICTURES], *rows["changed"][:PICTURES]]),
    )


def _pictures(dataset: Dataset, rows: list[RowChange]) -> _Side:
    if not rows:
        return _Side()
    cards = cards_of(dataset, (row.key for row in rows))
    return _Side({card.key: card for card in cards}, draw_thumbs(cards, dataset.home.read_media))
