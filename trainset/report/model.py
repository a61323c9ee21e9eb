"""What the reports are made from, beside the run's summary. Data only."""

from __future__ import annotations

from typing import Literal

from trainset.model import Frozen, Modality

SearchKind = Literal["text", "image", "words", "filter"]


class Hit(Frozen):
    """One answer of a search."""

    key: str
    score: float | None = None
    text: str = ""  # a line about it: its caption, its labels, the words that were found


class Search(Frozen):
    """One example query with its answers, best first.

    ``query`` is the text, the key of the query image, the words, or the SQL expression; ``note``
    says why there is no answer.
    """

    kind: SearchKind
    query: str
    hits: tuple[Hit, ...] = ()
    note: str = ""


class MediaCount(Frozen):
    """How many media of one modality, and their size in bytes."""

    modality: str
    count: int
    bytes: int


class ColumnState(Frozen):
    """One computed column: rows filled, failed, and empty (not due, or not computed yet);
    ``stale`` ones are filled, from other bytes or by another function than the rest."""

    name: str
    operator: str
    model: str
    type: str
    filled: int
    failed: int
    empty: int
    stale: int = 0


class Card(Frozen):
    """One medium of the contact sheet."""

    key: str
    uri: str | None
    version_id: str | None = None
    sha256: str | None
    mime: str
    modality: Modality
    size: int
    detail: str  # 640 × 480, 0:12, 3 pages
    labels: tuple[str, ...] = ()
    thumb: str | None = None  # uri of a thumbnail that is made already


class DatasetFacts(Frozen):
    """What the tables of one commit hold, counted."""

    media: tuple[MediaCount, ...]
    missing: int  # rows whose source file is gone
    unreadable: int
    labels: int
    labelled_media: int
    classes: tuple[tuple[str, int], ...]  # most frequent first
    kinds: tuple[tuple[str, int], ...]
    matches: tuple[tuple[str, int], ...]
    columns: tuple[ColumnState, ...]
    cards: tuple[Card, ...]

    @property
    def media_count(self) -> int:
        return sum(m.count for m in self.media)

    @property
    def bytes(self) -> int:
        return sum(m.bytes for m in self.media)
