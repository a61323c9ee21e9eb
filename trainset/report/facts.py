"""Counts the tables of one commit for the reports; reads small columns only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from trainset.errors import NotFound
from trainset.report.model import Card, ColumnState, DatasetFacts, MediaCount
from trainset.report.wording import clock, many

if TYPE_CHECKING:
    from trainset.dataset import Dataset
    from trainset.tables.columns import ColumnInfo

CARDS = 42
_MODALITIES = ("image", "video", "audio", "document", "other")
_MEDIA = ["row_id", "key", "uri", "version_id", "sha256", "size", "mime", "modality"]
_MEDIA += ["width", "height"]
_MEDIA += ["duration", "pages", "source_state", "unreadable"]
_LABELS = ("media_id", "match", "kind", "class")


def gather_facts(dataset: Dataset) -> DatasetFacts:
    """Look at the media and annotations tables of the dataset's commit."""
    view = dataset.table("media")
    columns = view.columns
    thumb = thumbnail_column(columns)
    media = view.select([*_MEDIA, *([thumb] if thumb else [])]).to_arrow().sort_by("key")
    labels = _labels(dataset)
    classes = _classes_of(labels)
    return DatasetFacts(
        media=tuple(_by_modality(media)),
        missing=_count(pc.equal(media["source_state"], "missing")),
        unreadable=media.num_rows - media["unreadable"].null_count,
        labels=labels.num_rows,
        labelled_media=len(set(labels["media_id"].to_pylist()) - {None}),
        classes=tuple(_frequencies(labels["class"])),
        kinds=tuple(_frequencies(labels["kind"])),
        matches=tuple(_frequencies(labels["match"])),
        columns=tuple(_column_state(c, media.num_rows) for c in columns if c.filled is not None),
        cards=tuple(_card(row, classes.get(row["row_id"], ()), thumb) for row in _sampled(media)),
    )


def thumbnail_column(columns: Iterable[ColumnInfo]) -> str | None:
    """The computed column that holds uris of thumbnails, if there is one."""
    return next((c.name for c in columns if c.operator == "thumbnail"), None)


def cards_of(dataset: Dataset, keys: Iterable[str]) -> list[Card]:
    """The media of these keys, in order of key, without labels; unknown keys are passed over."""
    quoted = ", ".join("'" + key.replace("'", "''") + "'" for key in sorted(set(keys)))
    if not quoted:
        return []
    view = dataset.table("media").where(f"key IN ({quoted})")
    thumb = thumbnail_column(view.columns)
    media = view.select([*_MEDIA, *([thumb] if thumb else [])]).to_arrow().sort_by("key")
    return [_card(row, (), thumb) for row in media.to_pylist()]


def _labels(dataset: Dataset) -> pa.Table:
    try:
        return dataset.table("annotations").select(list(_LABELS)).to_arrow()
    except NotFound:
        return pa.schema([(n, pa.string()) for n in _LABELS]).empty_table()


def _by_modality(media: pa.Table) -> Iterable[MediaCount]:
    grouped = media.group_by("modality").aggregate([("size", "sum"), ("key", "count")]).to_pylist()
    found = {row["modality"] or "other": row for row in grouped}
    for modality in _MODALITIES:
        if row := found.get(modality):
            yield MediaCount(modality=modality, count=row["key_count"], bytes=row["size_sum"] or 0)


def _column_state(info: ColumnInfo, rows: int) -> ColumnState:
    filled, failed = info.filled or 0, info.failed or 0
    return ColumnState(
        name=info.name,
        operator=info.operator or "unknown",
        model=info.model or "",
        type=info.type,
        filled=filled,
        failed=failed,
        empty=rows - filled - failed,
        stale=info.stale or 0,
    )


def _sampled(media: pa.Table) -> list[dict[str, Any]]:
    """Up to ``CARDS`` readable rows: some of every modality, spread evenly over their keys."""
    readable = media.filter(pc.is_null(media["unreadable"]))
    modalities = readable["modality"].to_pylist()
    rows = {m: [i for i, found in enumerate(modalities) if found == m] for m in _MODALITIES}
    rest = CARDS
    chosen: list[int] = []
    for left, modality in enumerate(sorted(rows, key=lambda m: len(rows[m]))):
        share = rest // (len(rows) - left)  # what a small modality does not need goes to larger
        picked = _spread(rows[modality], share)
        chosen += picked
        rest -= len(picked)
    chosen.sort(key=lambda i: (_MODALITIES.index(modalities[i]), i))
    picked_rows: list[dict[str, Any]] = readable.take(pa.array(chosen, pa.int64())).to_pylist()
    return picked_rows


def _spread(indices: Sequence[int], count: int) -> list[int]:
    if len(indices) <= count:
        return list(indices)
    return [indices[i * len(indices) // count] for i in range(count)]


def _card(row: Mapping[str, Any], classes: Sequence[str], thumb: str | None) -> Card:
    return Card(
        key=row["key"],
        uri=row["uri"],
        version_id=row["version_id"],
        sha256=row["sha256"],
        mime=row["mime"] or "",
        modality=row["modality"] or "other",
        size=row["size"] or 0,
        detail=_detail(row),
        labels=tuple(classes),
        thumb=row[thumb] if thumb else None,
    )


def _detail(row: Mapping[str, Any]) -> str:
    parts = []
    if row["width"] and row["height"]:
        parts.append(f"{row['width']} × {row['height']}")
    if row["duration"]:
        parts.append(clock(row["duration"]))
    if row["pages"]:
        parts.append(many(row["pages"], "page"))
    return " · ".join(parts)


def _classes_of(labels: pa.Table) -> dict[str, tuple[str, ...]]:
    """Classes of every labelled medium, the most frequent first."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for media_id, name in zip(
        labels["media_id"].to_pylist(), labels["class"].to_pylist(), strict=True
    ):
        if media_id and name:
            found[media_id][name] += 1
    return {media_id: tuple(n for n, _ in _ranked(c)) for media_id, c in found.items()}


def _frequencies(column: pa.ChunkedArray) -> list[tuple[str, int]]:
    return _ranked(Counter(v for v in column.to_pylist() if v is not None))


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _count(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(mask).as_py() or 0)
