"""Column mappings of a table: drop, rename, hash, and a row filter, on Arrow batches."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from trainset.errors import InputError
from trainset.identity import hash128
from trainset.metadata.tables.hashes import as_bytes
from trainset.metadata.tables.row_filter import rows_that_fit
from trainset.spec_metadata import ColumnRule

HASH_BYTES = 16


@dataclass(frozen=True)
class ColumnMapping:
    """How a source's columns become the stored ones.

    Attributes:
        where: over the source's own column names, before anything is dropped or renamed.
        salt: key of the hashes; they are the same for the same salt.
    """

    rules: Mapping[str, ColumnRule] = field(default_factory=dict)
    where: str | None = None
    salt: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if any(rule.hash for rule in self.rules.values()) and not self.salt:
            raise InputError(
                "columns: a hash needs a salt, else anyone can guess the values; set "
                "TRAINSET_HASH_SALT to a long random text and keep it, or say salt: block:<name>"
            )

    @property
    def salt_sign(self) -> str:
        """Tells salts apart; too short to try salts on."""
        return hash128(["salt", self.salt.hex()])[:4] if self.salt else ""

    def name(self, column: str) -> str:
        """The stored name of a source's column."""
        rule = self.rules.get(column)
        return rule.rename if rule and rule.rename else column

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        return tuple(map(self.name, columns))

    def split(self, table: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Rows that fit ``where`` and rows that do not, both mapped, each in order.

        Rows that do not fit any more must leave the table, so they are handed on.
        """
        if self.where is None:
            return self.map(table), self.map(table.slice(0, 0))
        fits = rows_that_fit(table, self.where)
        return self.map(table.filter(fits)), self.map(table.filter(pc.invert(fits)))

    def map(self, table: pa.Table) -> pa.Table:
        """Columns dropped, hashed and renamed; the others as they are, in their order.

        Raises:
            InputError: two columns would have one name.
        """
        kept = [n for n in table.column_names if not (r := self.rules.get(n)) or not r.drop]
        names = self.names(kept)
        if twice := [n for n in names if names.count(n) > 1]:
            raise InputError(f"columns: two columns would be called {twice[0]!r}; rename one")
        columns = [
            self._hashed(table[n]) if (r := self.rules.get(n)) and r.hash else table[n]
            for n in kept
        ]
        return pa.table(columns, names=list(names))

    def _hashed(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Keyed hash of each value as 32 hex digits; null stays null."""
        coded = pc.dictionary_encode(as_bytes(column)).combine_chunks()
        if isinstance(coded, pa.ChunkedArray):
            coded = pa.concat_arrays(coded.chunks) if coded.num_chunks else pa.nulls(0, pa.string())
        if not isinstance(coded, pa.DictionaryArray):
            return pa.chunked_array([pa.nulls(0, pa.string())])
        found = [
            hashlib.blake2b(value, key=self.salt[:64], digest_size=HASH_BYTES).hexdigest()
            for value in coded.dictionary.to_pylist()
        ]
        return pa.chunked_array([pa.array(found, pa.string()).take(coded.indices)])
