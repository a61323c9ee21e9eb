"""The contract of a table: what becomes of its stored columns when those of the source change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import types

from trainset.errors import InputError
from trainset.spec_metadata import ContractSpec

SYNC_ID, EXTRACTED_AT, ROW_HASH, META = "_sync_id", "_extracted_at", "_row_hash", "_meta"
CHANGE = pa.struct([("field", pa.string()), ("change", pa.string()), ("reason", pa.string())])
SYSTEM = pa.schema(
    [
        (SYNC_ID, pa.string()),
        (EXTRACTED_AT, pa.timestamp("us", tz="UTC")),
        (ROW_HASH, pa.uint64()),
        (META, pa.struct([("changes", pa.list_(CHANGE))])),  # null: nothing was changed
    ]
)


class ContractBroken(InputError):
    """A source changed in a way that its contract does not take; nothing was written."""

    kind = "contract-broken"


@dataclass(frozen=True)
class Evolution:
    """What a contract decided.

    Attributes:
        schema: columns of the stored table from now on, less the system columns.
        widened: name -> (stored type, new type); old rows are rewritten.
        kept: name -> (stored type, found type); values are cast one by one.
    """

    schema: pa.Schema
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    widened: tuple[tuple[str, str, str], ...] = ()
    kept: tuple[tuple[str, str, str], ...] = ()


def evolve(
    stored: pa.Schema | None,
    found: pa.Schema,
    policy: ContractSpec,
    *,
    needed: Sequence[str],
    place: str,
) -> Evolution:
    """Decide the schema of a table.

    Args:
        stored: columns as they lie in the commit; None: the table is new.
        found: columns as they are read now, after mappings.
        needed: key and cursor.
        place: the table, for messages.
    Raises:
        ContractBroken: a needed column is gone, or the contract is frozen.
    """
    found = plain_schema(found)
    if lost := [name for name in needed if name not in found.names]:
        raise ContractBroken(
            f"{place}: the column {lost[0]!r}, which is its key or cursor, is gone; bring it back, "
            "or name another in the spec (key:, cursor:)"
        )
    if taken := [name for name in found.names if name in SYSTEM.names]:
        raise ContractBroken(
            f"{place}: the column {taken[0]!r} has a name that trainset uses itself; rename it: "
            f"columns: {{{taken[0]}: {{rename: …}}}}"
        )
    if stored is None:
        return Evolution(schema=found, added=())
    fields: list[pa.Field] = []
    widened: list[tuple[str, str, str]] = []
    kept: list[tuple[str, str, str]] = []
    for old in stored:
        new = found.field(old.name).type if old.name in found.names else old.type
        target = common_type(old.type, new)
        if target is None and policy.types == "freeze":
            raise ContractBroken(
                f"{place}: the column {old.name!r} was {old.type} and is now {new}, and the "
                "contract is frozen; say contract: keep or widen, or change it back"
            )
        if target is None and policy.types == "widen":
            target = pa.string()
        if target is None:
            kept.append((old.name, str(old.type), str(new)))
            target = old.type
        elif target != old.type:
            widened.append((old.name, str(old.type), str(target)))
        fields.append(pa.field(old.name, target))
    fresh = [f for f in found if f.name not in stored.names]
    if fresh and policy.columns == "freeze":
        raise ContractBroken(
            f"{place}: there is a new column {fresh[0].name!r}, and the contract is frozen; say "
            "contract: {columns: add} or ignore"
        )
    added = fresh if policy.columns == "add" else []
    return Evolution(
        schema=pa.schema(fields + added),
        added=tuple(f.name for f in added),
        removed=tuple(n for n in stored.names if n not in found.names),
        ignored=tuple(f.name for f in fresh) if policy.columns == "ignore" else (),
        widened=tuple(widened),
        kept=tuple(kept),
    )


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Types that every reader of Parquet knows, without metadata or nullability."""
    return pa.schema([pa.field(f.name, plain_type(f.type)) for f in schema])


def plain_type(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_large_list(kind) or types.is_list(kind):
        return pa.list_(plain_type(kind.value_type))
    return kind


def common_type(stored: pa.DataType, found: pa.DataType) -> pa.DataType | None:
    """The narrowest type that holds both without loss; None when there is none but text."""
    if holds(stored, found):
        return stored
    if holds(found, stored):
        return found
    return next(
        (t for t in (pa.int64(), pa.float64()) if holds(t, stored) and holds(t, found)), None
    )


def holds(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Whether every value of ``narrow`` is also one of ``wide``, and reads the same."""
    if wide == narrow:
        return True
    if types.is_integer(wide) and types.is_integer(narrow):
        fits = types.is_signed_integer(wide) or types.is_unsigned_integer(narrow)
        return fits and bool(wide.bit_width > narrow.bit_width)
    if types.is_float64(wide) and types.is_integer(narrow):
        return bool(narrow.bit_width <= 32)
    if types.is_floating(wide):
        return types.is_floating(narrow) and bool(wide.bit_width > narrow.bit_width)
    if types.is_decimal(wide) and types.is_decimal(narrow):
        whole = wide.precision - wide.scale >= narrow.precision - narrow.scale
        return bool(whole and wide.scale >= narrow.scale)
    if types.is_timestamp(wide) and types.is_timestamp(narrow):
        units = ["s", "ms", "us", "ns"]
        finer = units.index(wide.unit) > units.index(narrow.unit)
        return bool(wide.tz == narrow.tz and finer and wide.unit != "ns")  # ns ends in 2262
    return False
