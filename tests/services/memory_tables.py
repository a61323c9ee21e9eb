"""A source of tables in memory that keeps the contract of ``TableReader``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from trainset.errors import NotFound
from trainset.metadata.base import State
from trainset.metadata.table_base import TableBatch, TableStream


class MemoryTable:
    """One table; every put gets the next number in the column ``seq``, which is its cursor."""

    def __init__(
        self, schema: pa.Schema, *, key: Sequence[str] = ("id",), batch_rows: int = 1000
    ) -> None:
        self.schema = pa.schema([*schema, ("seq", pa.int64())])
        self.key, self.batch_rows = tuple(key), batch_rows
        self.rows: dict[Any, dict[str, Any]] = {}
        self.seq = 0

    def put(self, **row: Any) -> None:
        self.seq += 1
        name = tuple(row.get(k) for k in self.key) if self.key else self.seq
        self.rows[name] = {**row, "seq": self.seq}

    def delete(self, *name: Any) -> None:
        self.rows.pop(name)

    def retype(self, column: str, kind: pa.DataType | None) -> None:
        """Change a column's type and values; None takes the column out."""
        fields = []
        for field in self.schema:
            if field.name != column:
                fields.append(field)
            elif kind is not None:
                fields.append(pa.field(column, kind))
        if kind is not None and column not in self.schema.names:
            fields.append(pa.field(column, kind))
        self.schema = pa.schema(fields)
        for row in self.rows.values():
            if kind is None:
                row.pop(column, None)
            elif pa.types.is_string(kind) and row.get(column) is not None:
                row[column] = str(row[column])

    def table(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        return pa.Table.from_pylist(
            [{n: row.get(n) for n in self.schema.names} for row in rows], schema=self.schema
        )


class MemoryTables:
    """Reader of several; ``dies_after`` batches it raises KeyboardInterrupt, as a kill would."""

    def __init__(self, **tables: MemoryTable) -> None:
        self.tables = tables
        self.rows_read = 0
        self.dies_after: int | None = None

    def spec(self) -> Mapping[str, Any]:
        return {}

    def check(self) -> None:
        return

    def discover(self) -> Sequence[TableStream]:
        return [self.stream(name) for name in self.tables]

    def stream(self, name: str) -> TableStream:
        table = self.tables[name]
        cursor = "seq" if "seq" in table.schema.names else None
        rows = len(table.rows)
        return TableStream(name=name, columns=table.schema, key=table.key, cursor=cursor, rows=rows)

    def open(self, stream: str, *, full: bool = False) -> MemorySession:
        if stream not in self.tables:
            raise NotFound(f"there is no table {stream!r}; mend tables:")
        return MemorySession(self, stream)


class MemorySession:
    """One look: nobody changes the table meanwhile."""

    def __init__(self, reader: MemoryTables, name: str) -> None:
        self._reader, self._name = reader, name

    def __enter__(self) -> MemorySession:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def stream(self) -> TableStream:
        return self._reader.stream(self._name)

    def read(self, state: State) -> Iterator[TableBatch]:
        table = self._reader.tables[self._name]
        after = state.get("seq", 0)
        rows = sorted((r for r in table.rows.values() if r["seq"] > after), key=lambda r: r["seq"])
        for n, start in enumerate(range(0, len(rows), table.batch_rows)):
            if self._reader.dies_after is not None and n >= self._reader.dies_after:
                raise KeyboardInterrupt
            part = rows[start : start + table.batch_rows]
            self._reader.rows_read += len(part)
            yield TableBatch(rows=table.table(part), state={"seq": part[-1]["seq"]})

    @property
    def unchanged(self) -> bool:
        return False

    def live_keys(self) -> Iterator[pa.Table]:
        table = self._reader.tables[self._name]
        yield table.table(list(table.rows.values())).select(list(table.key))
