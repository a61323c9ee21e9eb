"""The Airbyte protocol: messages, catalogs, and the states a connector is called with. Pure.

Messages are JSON objects, one a line of stdout. Source: the Airbyte protocol, version 0
(airbytehq/airbyte, docs/platform/understanding-airbyte/airbyte-protocol.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from trainset.errors import InputError
from trainset.metadata.records import load_json

Path = tuple[str, ...]  # of a field in a record

_MESSAGE = re.compile(rb'\{\s*"')
_RECORD = re.compile(rb'"type"\s*:\s*"RECORD"')
_LONG = re.compile(rb"[0-9]{20}")  # may be an integer that 64 bits do not hold
_STATISTICS = ("sourceStats", "destinationStats", "id")


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The message of a line; None when it is none: a library's print.

    Integers keep all digits, and half characters (which JSON can say and UTF-8 cannot) stay.

    Raises:
        ValueError: this was a record, and it cannot be read.
    """
    if not _MESSAGE.match(line):
        return None
    try:
        if _LONG.search(line):
            raise ValueError("orjson makes floats of what is longer")
        found = orjson.loads(line)
    except ValueError:
        try:
            found = load_json(line.decode("utf-8", "replace"))
        except ValueError as err:
            if _RECORD.search(line):
                raise ValueError(f"a record is no JSON ({err})") from None
            return None
    return found if isinstance(found, dict) and isinstance(found.get("type"), str) else None


@dataclass(frozen=True)
class CatalogStream:
    """One stream as the connector describes it.

    Attributes:
        described: its entry of the catalog, as it came.
        key: paths of the fields that identify a record; () when there are none.
        cursor: path of the field that grows with every change; None: there is none.
        incremental: it can be asked for what changed.
        resumable: a full read that was cut off can go on.
    """

    described: Mapping[str, Any]
    key: tuple[Path, ...] = ()
    cursor: Path | None = None
    incremental: bool = False
    resumable: bool = False

    @property
    def name(self) -> str:
        """``namespace.name``, or the name alone."""
        space = self.described.get("namespace")
        return f"{space}.{self.described['name']}" if space else str(self.described["name"])

    @property
    def json_schema(self) -> Mapping[str, Any]:
        found = self.described.get("json_schema")
        return found if isinstance(found, Mapping) else {}

    def configured(self) -> dict[str, Any]:
        """The configured catalog that asks for this stream alone."""
        keyed = bool(self.key)
        asked = {
            "stream": dict(self.described),
            "sync_mode": "incremental" if self.incremental else "full_refresh",
            "destination_sync_mode": "append_dedup" if keyed else "append",
            "primary_key": [list(path) for path in self.key],
            "cursor_field": list(self.cursor or ()),
        }
        return {"streams": [asked]}

    def is_of(self, record: Mapping[str, Any]) -> bool:
        """Whether a record message is of this stream."""
        same_space = (record.get("namespace") or None) == (self.described.get("namespace") or None)
        return same_space and record.get("stream") == self.described["name"]


def catalog_streams(
    catalog: Mapping[str, Any],
    *,
    key: Mapping[str, Sequence[str]],
    cursor: Mapping[str, str],
) -> list[CatalogStream]:
    """The streams of a catalog, with the user's keys and cursors where there are any.

    Args:
        key: stream -> fields, nested ones with dots.
        cursor: stream -> field.
    Raises:
        InputError: this is no catalog.
    """
    listed = catalog.get("streams")
    if not isinstance(listed, list) or not all(
        isinstance(s, dict) and isinstance(s.get("name"), str) for s in listed
    ):
        raise InputError("its catalog has no streams with names; is this an Airbyte source?")
    found = []
    for described in listed:
        name = CatalogStream(described).name
        named = described.get("source_defined_primary_key") or ()
        own = described.get("default_cursor_field") or ()
        wanted = tuple(cursor[name].split(".")) if name in cursor else None
        place = tuple(own) if described.get("source_defined_cursor") and own else wanted or own
        modes = described.get("supported_sync_modes") or ["full_refresh"]
        defined = bool(described.get("source_defined_cursor"))
        found.append(
            CatalogStream(
                described=described,
                key=tuple(tuple(n.split(".")) for n in key[name])
                if name in key
                else tuple(tuple(path) for path in named),
                cursor=tuple(place) or None,
                incremental="incremental" in modes and (defined or bool(place)),
                resumable=bool(described.get("is_resumable")),
            )
        )
    return found


class States:
    """The states of a connector, as its messages build them up; their contents are its own.

    Args:
        known: of the last sync.
    """

    def __init__(self, known: Iterable[Mapping[str, Any]] = ()) -> None:
        self._states: dict[tuple[str, ...], dict[str, Any]] = {}
        for state in known:
            self.take(state)

    def take(self, state: Mapping[str, Any]) -> None:
        """A state message: in place of the one before it of the same stream."""
        kept = {name: value for name, value in state.items() if name not in _STATISTICS}
        kind = str(kept.setdefault("type", "LEGACY" if "data" in kept else "STREAM"))
        if kind != "STREAM":
            self._states = {(kind,): kept}  # it holds everything
            return
        self._states.pop(("LEGACY",), None)
        described = kept.get("stream", {}).get("stream_descriptor", {})
        name = (kind, str(described.get("namespace") or ""), str(described.get("name")))
        self._states[name] = kept

    def kept(self) -> tuple[dict[str, Any], ...]:
        """For our own state."""
        return tuple(self._states.values())

    def for_connector(self) -> Any:
        """What ``--state`` takes; None when there is nothing to say."""
        if (legacy := self._states.get(("LEGACY",))) is not None:
            return legacy.get("data", {})
        return list(self._states.values()) or None
