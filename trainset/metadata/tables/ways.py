"""How a table is synced: what the spec says, with the defaults that its key decides. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from trainset.errors import InputError
from trainset.identity import hash128
from trainset.metadata.store import TableFacts
from trainset.metadata.table_base import TableStream
from trainset.metadata.tables.contract import ContractBroken, Evolution, evolve, plain_schema
from trainset.metadata.tables.mapping import ColumnMapping
from trainset.spec_metadata import MetadataSource, SyncMode


@dataclass(frozen=True)
class Ways:
    """How one table is synced.

    Attributes:
        key, cursor: by their stored names.
        options: hash of all that shapes the stored rows.
        anew: nothing was synced in this way before: every row is read.
    """

    key: tuple[str, ...]
    cursor: str | None
    mode: SyncMode
    options: str
    anew: bool

    @property
    def appends(self) -> bool:
        return self.mode.endswith("append")

    @property
    def incremental(self) -> bool:
        """Whether rows are read from where the base commit's state stands."""
        return not self.anew and not self.mode.startswith("full")


def choose_ways(
    source: MetadataSource,
    found: TableStream,
    held: TableFacts | None,
    mapping: ColumnMapping,
    *,
    place: str,
) -> Ways:
    """Decide how a table is synced.

    Args:
        held: how the base commit has it; None: it has not.
    Raises:
        ContractBroken: the table had a key and has none any more.
        InputError: the mode needs a key.
    """
    key = mapping.names(source.key or found.key)
    if held and held.key and not key:
        raise ContractBroken(
            f"{place}: its key ({', '.join(held.key)}) is gone; bring the primary key back, or "
            "name the columns in the spec (key:)"
        )
    mode: SyncMode = source.mode or ("incremental-upsert" if key else "full-overwrite")
    if mode == "incremental-upsert" and not key:
        raise InputError(
            f"{place}: incremental-upsert needs a key; name its columns (key:), or choose "
            "mode: incremental-append or full-overwrite"
        )
    cursor = source.cursor or found.cursor
    cursor = None if cursor is None else mapping.name(cursor)
    rules = {name: rule.model_dump() for name, rule in source.columns.items()}
    options = hash128([rules, source.where, key, mode, cursor, mapping.salt_sign])
    return Ways(key, cursor, mode, options, anew=held is None or held.options != options)


def decide_columns(
    source: MetadataSource,
    found: pa.Schema,
    held: TableFacts | None,
    mapping: ColumnMapping,
    ways: Ways,
    *,
    place: str,
) -> Evolution:
    """The columns of the stored table from now on.

    Raises:
        ContractBroken: the contract refuses.
        InputError: a column that the spec names is not there.
    """
    mapped = mapping.map(plain_schema(found).empty_table()).schema
    evolution = evolve(
        held.columns if held and (ways.appends or not ways.anew) else None,
        mapped,
        source.contract,
        needed=[*ways.key, *([ways.cursor] if ways.cursor else [])],
        place=place,
    )
    media = source.media_column
    if media and media.partition(".")[0] not in evolution.schema.names:
        raise InputError(
            f"{place}: there is no column {media!r}, which media_column names; the columns are "
            f"{', '.join(evolution.schema.names)}"
        )
    return evolution
