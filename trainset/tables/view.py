"""``TableView``: a question to one table of one commit, built step by step, read at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from trainset.errors import InputError
from trainset.tables.base import Table
from trainset.tables.columns import Columns, describe_columns
from trainset.tables.search import Query, run_query

if TYPE_CHECKING:
    import pandas as pd

    from trainset.dataset import Dataset


@dataclass(frozen=True)
class TableView:
    """Rows of one table at one commit; every method gives a new view, nothing is read before
    ``to_arrow``, ``to_pandas``, ``to_batches`` or ``count``.

    >>> media.where("width >= 640").search("a red car at night", k=20)  # doctest: +SKIP
    """

    dataset: Dataset = field(repr=False)
    name: str
    conditions: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    rows: int | None = None
    query: Query | None = None

    def where(self, sql: str) -> TableView:
        """Rows for which ``sql`` holds too (``trainset.tables.where`` says how other tables join).

        Two calls are two questions: each may be answered by another row of ``annotations``.
        """
        if not sql.strip():
            raise InputError("where is empty; leave it out to get all rows")
        return replace(self, conditions=(*self.conditions, sql))

    def select(self, columns: Sequence[str]) -> TableView:
        """Only these columns (a search adds ``_score``). Raises InputError for unknown ones."""
        if isinstance(columns, str):
            columns = [name.strip() for name in columns.split(",")]
        names = tuple(name for name in columns if not (name == "_score" and self.query))
        unknown = [name for name in names if name not in self._table.schema.names]
        if unknown:
            raise InputError(
                f"table {self.name!r} has no column {', '.join(map(repr, unknown))}; it has "
                f"{', '.join(self._table.schema.names)}"
            )
        return replace(self, names=names)

    def limit(self, rows: int) -> TableView:
        """At most so many rows."""
        if rows < 0:
            raise InputError(f"limit {rows} is negative; give 0 or more")
        return replace(self, rows=rows)

    def search(
        self,
        text: str | None = None,
        *,
        image: Any = None,
        k: int = 10,
        column: str | None = None,
    ) -> TableView:
        """The ``k`` rows most like a text or an image, best first, with ``_score``.

        The query is encoded by the model that made the embedding column. Where no column can be
        compared with text, the words are looked for in text columns (as ``match``).

        Args:
            image: a path, the bytes of a file, or a PIL image.
            column: the column to search; None: the one there is.
        """
        return self._ask(Query(k=k, column=column, text=text, image=image))

    def match(self, words: str, k: int = 10, *, column: str | None = None) -> TableView:
        """The ``k`` rows whose text holds the words best (BM25), with ``_score``."""
        return self._ask(Query(k=k, column=column, text=words, words=True))

    def to_arrow(self) -> pa.Table:
        """All rows of the answer; in no order without a search."""
        where = self._where()
        if self.query is None:
            return self._table.scan(self.names, where=where, limit=self.rows).read_all()
        found = run_query(self.dataset, self._table, self.query, where=where, columns=self.names)
        return found if self.rows is None else found.slice(0, self.rows)

    def to_pandas(self) -> pd.DataFrame:
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The answer in pieces, in constant memory (but for a search)."""
        if self.query is None:
            yield from self._table.scan(self.names, where=self._where(), limit=self.rows)
        else:
            yield from self.to_arrow().to_batches()

    def count(self) -> int:
        """How many rows ``to_arrow`` would give."""
        if self.query is not None:
            return len(self.select(["row_id"]).to_arrow())
        rows = self._table.count(self._where())
        return rows if self.rows is None else min(rows, self.rows)

    @property
    def schema(self) -> pa.Schema:
        """Of the table, or of the selected columns."""
        schema = self._table.schema
        if self.names is None:
            return schema
        return pa.schema([schema.field(name) for name in self.names])

    @property
    def columns(self) -> Columns:
        """Name, type, operator, model and filled / failed / stale cells of every column."""
        return describe_columns(self._table, self.dataset.function)

    @property
    def _table(self) -> Table:
        return self.dataset.open_table(self.name)

    def _ask(self, query: Query) -> TableView:
        if self.query is not None:
            raise InputError("this view is a search already; search once, and narrow it by where")
        return replace(self, query=query)

    def _where(self) -> str | None:
        if not self.conditions:
            return None
        from trainset.tables.where import resolve_where  # loads sqlglot

        resolved = [
            resolve_where(
                sql,
                table=self.name,
                names=self.dataset.tables(),
                open_table=self.dataset.open_table,
            )
            for sql in self.conditions
        ]
        return resolved[0] if len(resolved) == 1 else " and ".join(f"({sql})" for sql in resolved)
