"""The table reader of Airbyte connectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainset.errors import InputError, NotFound
from trainset.metadata.airbyte.connector import Connector
from trainset.metadata.airbyte.protocol import CatalogStream, catalog_streams
from trainset.metadata.airbyte.schema import FieldColumn, columns_of
from trainset.metadata.airbyte.session import AirbyteSession, to_stream
from trainset.metadata.table_base import TableStream

Names = Sequence[str] | Mapping[str, Sequence[str]] | None


class AirbyteReader:
    """A ``TableReader`` of one connector; its catalog is asked for once, when first needed.

    Args:
        streams: those to offer; None: all.
        key: fields that identify a record, for all streams or by stream; None: the connector's.
        cursor: the field that grows with every change, where the connector leaves it open.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        streams: Sequence[str] | None,
        key: Names,
        cursor: str | Mapping[str, str] | None,
    ) -> None:
        self._connector = connector
        self._wanted, self._key, self._cursor = streams, key, cursor
        self._found: dict[str, CatalogStream] | None = None

    def __repr__(self) -> str:
        return f"AirbyteReader({self._connector.name})"

    def spec(self) -> Mapping[str, Any]:
        """The options of ``open_airbyte``; ``config`` as the connector itself asks for it."""
        names = {"type": "array", "items": {"type": "string"}}
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "config": dict(self._connector.spec()),
                "streams": names,
                "key": {"anyOf": [names, {"type": "object", "additionalProperties": names}]},
                "cursor": {"type": ["string", "object"]},
            },
        }

    def check(self) -> None:
        """The connector connects, and every stream, key and cursor that was named is there."""
        self._connector.check()
        self.discover()

    def discover(self) -> Sequence[TableStream]:
        return [to_stream(one, self._columns(one)) for one in self._streams().values()]

    def open(self, stream: str, *, full: bool = False) -> AirbyteSession:
        found = self._streams().get(stream)
        if found is None:
            raise NotFound(
                f"{self._connector.name} has no stream {stream!r} to sync; there are "
                f"{', '.join(self._streams())}: mend streams:"
            )
        return AirbyteSession(self._connector, found, self._columns(found), full=full)

    def _columns(self, stream: CatalogStream) -> list[FieldColumn]:
        paths = [*stream.key, *([stream.cursor] if stream.cursor else [])]
        return columns_of(stream.json_schema, paths)

    def _streams(self) -> dict[str, CatalogStream]:
        if self._found is None:
            catalog = self._connector.discover()
            try:
                plain = catalog_streams(catalog, key={}, cursor={})
                names = [s.name for s in plain]
                offered = names if self._wanted is None else list(self._wanted)
                if missing := [name for name in offered if name not in names]:
                    raise NotFound(
                        f"has no stream {missing[0]!r}; there are {', '.join(names)}: mend streams:"
                    )
                found = catalog_streams(
                    catalog,
                    key=_by_stream(self._key, names),
                    cursor=_by_stream(self._cursor, names),
                )
            except InputError as err:
                raise type(err)(f"{self._connector.name}: {err}") from None
            self._found = {s.name: s for s in found if s.name in offered}
        return self._found


def _by_stream(said: Any, streams: Sequence[str]) -> dict[str, Any]:
    """What was said for all streams, or by stream, as the latter."""
    if said is None or isinstance(said, Mapping):
        return dict(said or {})
    return dict.fromkeys(streams, said)
