"""The ``media`` table as manifest: what a transfer found becomes rows, nothing is ever deleted.

A row changes only when what it says of the medium changes: a touched file with the same bytes
changes no row, and only changed content empties the row's computed cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pyarrow as pa

from trainset.errors import InputError
from trainset.identity import row_id
from trainset.model import Frozen, MediaFacts
from trainset.tables.base import Table
from trainset.tables.schema import MEDIA, finish_rows

_FACTS = ("mime", "modality", "width", "height", "duration", "pages", "unreadable")
_IN_ONE_QUERY = 5_000  # a batch of a transfer is one query
Content = str | tuple[str | None, str | None]  # sha256, else (uri, version id)
_BASE = ("key", "size", "source_version", "source_state", "sha256", "uri", "unreadable")


class SourceLike(Protocol):
    """What a row keeps of ``transfer.SourceFile``."""

    @property
    def key(self) -> str: ...
    @property
    def uri(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def version(self) -> str: ...


class OutcomeLike(Protocol):
    """What a row keeps of ``transfer.Outcome``; tables do not depend on the transfer package."""

    @property
    def file(self) -> SourceLike: ...
    @property
    def status(self) -> str: ...
    @property
    def sha256(self) -> str | None: ...
    @property
    def uri(self) -> str | None: ...
    @property
    def version_id(self) -> str | None: ...
    @property
    def facts(self) -> MediaFacts | None: ...


@dataclass(frozen=True)
class BaseRow:
    """What the transfer plan needs of one row at the base commit."""

    key: str
    size: int | None
    source_version: str | None
    source_state: str | None
    sha256: str | None
    uri: str | None
    unreadable: str | None


class MediaCounts(Frozen):
    """Rows by what happened to them; ``missing`` and ``back`` are among ``updated``."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    missing: int = 0
    back: int = 0


def base_rows(table: Table) -> dict[str, BaseRow]:
    """All rows by key; about 0.5 KB of memory a row."""
    return {row.key: row for row in iter_base_rows(table)}


def iter_base_rows(table: Table) -> Iterator[BaseRow]:
    """All rows, in no order that callers may rely on, in constant memory."""
    for batch in table.scan(_BASE):
        yield from (BaseRow(**row) for row in batch.to_pylist())


def upsert_media(
    table: Table,
    outcomes: Iterable[OutcomeLike],
    *,
    now: datetime,
    missing_keys: Iterable[str] = (),
    present_again: Iterable[str] = (),
) -> MediaCounts:
    """Bring the manifest to what the transfer found.

    Args:
        outcomes: those with a uri (``sent``, ``duplicate``, ``skipped``) become rows; ``failed``
            and ``deferred`` touch nothing: the next run tries them again. Of two outcomes with
            one key the last counts. A medium that was adopted unread has no sha256: its content
            is (uri, version id), and what computing found out of that version stays.
        now: timezone-aware; becomes ``ingested_at`` of new content and ``missing_since``.
        missing_keys: keys of rows whose file the source no longer lists.
        present_again: keys of missing rows whose file is back, with the content that it had.
    Raises:
        InputError: an outcome has neither facts nor a row of the same content to take them from.
    """
    now = now.astimezone(UTC)
    usable = {
        o.file.key: o
        for o in outcomes
        if o.status in ("sent", "duplicate", "skipped") and o.uri is not None
    }
    gone = set(missing_keys) - usable.keys()
    back = set(present_again) - usable.keys() - gone
    known = _rows_of(table, [*usable, *gone, *back])
    facts = _facts(table, usable.values(), known)
    fresh: list[dict[str, Any]] = []  # content is new or changed: computed cells are emptied
    kept: list[dict[str, Any]] = []  # content is as it was
    for key, outcome in usable.items():
        old = known.get(key)
        row = _row(outcome, facts[key], now)
        if old is not None and same_content(old, row):
            row["sha256"] = row["sha256"] or old["sha256"]
            kept.append({**row, "ingested_at": old["ingested_at"]})
        else:
            fresh.append(row)
    lost = [known[key] for key in sorted(gone) if _state(known, key) == "present"]
    found = [known[key] for key in sorted(back) if _state(known, key) == "missing"]
    kept += [{**row, "source_state": "missing", "missing_since": now} for row in lost]
    kept += [{**row, "source_state": "present", "missing_since": None} for row in found]
    counts = [
        table.upsert(finish_rows("media", fresh), empty=computed_parts(table.schema)),
        table.upsert(finish_rows("media", kept)),
    ]
    return MediaCounts(
        inserted=sum(c.inserted for c in counts),
        updated=sum(c.updated for c in counts),
        unchanged=sum(c.unchanged for c in counts),
        missing=len(lost),
        back=len(found),
    )


def computed_parts(schema: pa.Schema) -> list[str]:
    """The columns that belong to computed columns: ``c``, ``c__src``, ``c__fn``, ``c__err``."""
    names = [n.removesuffix("__fn") for n in schema.names if n.endswith("__fn")]
    parts = [f"{name}{part}" for name in names for part in ("", "__src", "__fn", "__err")]
    return [part for part in parts if part in schema.names]


def _row(outcome: OutcomeLike, facts: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    file = outcome.file
    return {
        "key": file.key,
        "uri": outcome.uri,
        "version_id": outcome.version_id,
        "sha256": outcome.sha256,
        "size": file.size,
        **facts,
        "source_uri": file.uri,
        "source_version": file.version,
        "source_state": "present",
        "missing_since": None,
        "ingested_at": now,
    }


def same_content(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two rows mean the same bytes: by sha256, else by uri and version id."""
    if old["sha256"] is not None and new["sha256"] is not None:
        return bool(old["sha256"] == new["sha256"])
    pins = [(row["uri"], row["version_id"]) for row in (old, new)]
    return pins[0] == pins[1] and pins[0][1] is not None


def _rows_of(table: Table, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The stored rows of ``keys``, source columns only, by key."""
    found = _lookup(table, MEDIA.names, "row_id", [row_id(key) for key in keys])
    return {row["key"]: row for row in found}


def _facts(
    table: Table, outcomes: Iterable[OutcomeLike], known: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Facts by key: the outcome's own, else those of any medium with the same content.

    What was read says more than a name: facts of a content whose sha256 is known stay when the
    same version is adopted again unread.
    """
    outcomes = list(outcomes)
    by_content = {_content(row): _facts_of(row) for row in known.values()}
    read = {(row["uri"], row["version_id"]) for row in known.values() if row["sha256"] is not None}
    for o in outcomes:
        unread = o.sha256 is None and (o.uri, o.version_id) in read
        if o.facts is not None and not unread:
            by_content[_content_of(o)] = o.facts.model_dump()
    found: dict[str, dict[str, Any]] = {}
    for row in known.values():
        by_content.setdefault((row["uri"], row["version_id"]), _facts_of(row))
    lacking = {o.sha256 for o in outcomes if _content_of(o) not in by_content} - {None}
    for row in _lookup(table, ("sha256", *_FACTS), "sha256", sorted(map(str, lacking))):
        by_content[row.pop("sha256")] = row
    for outcome in outcomes:
        content = _content_of(outcome)
        if content not in by_content:
            raise InputError(
                f"{outcome.file.key!r}: the transfer gives no media facts and no row has this "
                "content; probe the medium (trainset.media.probe) and pass its facts"
            )
        found[outcome.file.key] = by_content[content]
    return found


def _lookup(
    table: Table, columns: Sequence[str], column: str, values: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Rows by the values of a column of hex digits; memory grows with ``values``, not the table."""
    for start in range(0, len(values), _IN_ONE_QUERY):
        quoted = ", ".join(f"'{value}'" for value in values[start : start + _IN_ONE_QUERY])
        for batch in table.scan(columns, where=f"{column} IN ({quoted})"):
            yield from batch.to_pylist()


def _content(row: Mapping[str, Any]) -> Content:
    return row["sha256"] or (row["uri"], row["version_id"])


def _content_of(outcome: OutcomeLike) -> Content:
    return outcome.sha256 or (outcome.uri, outcome.version_id)


def _facts_of(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _FACTS}


def _state(known: Mapping[str, Mapping[str, Any]], key: str) -> str | None:
    return known[key]["source_state"] if key in known else None
