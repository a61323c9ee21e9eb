"""Lance behind ``TableStore``: tables with cheap column adds, upserts, random reads and search.

Stable row ids are on, but ``_rowid`` is used inside one version only: identity is ``row_id``.
Versions are ordinary Lance versions; Lance's own branches, tags, detached commits and overlays are
not used (facts/tables.md says why).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import lance
import pyarrow as pa
import pyarrow.compute as pc

from trainset.errors import InputError, NotFound
from trainset.tables import lance_fill, lance_places, lance_search
from trainset.tables.base import Table, TableLocation, UpsertCounts
from trainset.tables.compare import compare_rows
from trainset.tables.lance_errors import lance_errors

FRAGMENT_ROWS = 25_000  # rows of one fragment as it is written; one compute task each


class LanceTable:
    """A ``Table`` that is one Lance dataset at one version."""

    def __init__(self, location: TableLocation, dataset: Any) -> None:
        self.location = location
        self.dataset = dataset

    @property
    def version(self) -> int:
        return int(self.dataset.version)

    @property
    def schema(self) -> pa.Schema:
        schema: pa.Schema = self.dataset.schema
        return schema

    def count(self, where: str | None = None) -> int:
        with self._errors(where):
            return int(self.dataset.count_rows(filter=where))

    def scan(
        self,
        columns: Sequence[str] | None = None,
        *,
        where: str | None = None,
        limit: int | None = None,
        frugal: bool = False,
    ) -> pa.RecordBatchReader:
        self._known(columns)
        with self._errors(where):
            names = None if columns is None else list(columns)
            return self.dataset.scanner(
                columns=names,
                filter=where,
                limit=limit,
                fragment_readahead=1 if frugal else None,
            ).to_reader()

    def take(self, ids: pa.Array, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        names = list(columns or self.schema.names)
        self._known(names)

        def batches() -> Iterator[pa.RecordBatch]:
            with self._errors():
                yield from lance_places.read_ids(self.dataset, ids, names)

        schema = pa.schema([self.schema.field(name) for name in names])
        return pa.RecordBatchReader.from_batches(schema, batches())

    def unlike(self, others: Sequence[Table], columns: Sequence[str]) -> list[pa.RecordBatchReader]:
        tables = [self, *others]
        sides = [table.dataset for table in tables if isinstance(table, LanceTable)]
        if len(sides) < len(tables):
            return [t.scan([c for c in columns if c in t.schema.names]) for t in tables]

        def told(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            with self._errors():
                yield from batches

        with self._errors():
            found = lance_places.read_unlike(sides, columns)
        readers = [pa.RecordBatchReader.from_batches(schema, told(b)) for schema, b in found]
        return readers

    def upsert(
        self, rows: pa.Table, *, key: str = "row_id", empty: Sequence[str] = ()
    ) -> UpsertCounts:
        """See ``Table.upsert``; changed rows and new rows are two Lance commits at most.

        Without ``row_fp`` in ``rows`` every row that exists counts as changed.
        """
        self._begin_write()
        self._known([*rows.column_names, *empty])
        if rows.num_rows == 0:
            return UpsertCounts()
        rows = _cast(rows, self.schema)
        compared = [key, "row_fp"] if "row_fp" in rows.column_names else [key]
        with self._errors():
            found, same = compare_rows(rows, self.scan(compared), key)
        changed = rows.filter(pa.array(found & ~same))
        new = rows.filter(pa.array(~found))
        with self._errors():
            if changed.num_rows:
                for name in empty:
                    nulls = pa.nulls(changed.num_rows, self.schema.field(name).type)
                    if name in changed.column_names:
                        changed = changed.drop_columns([name])
                    changed = changed.append_column(name, nulls)
                # Rows move to a new fragment: rewriting a column would copy it for all rows.
                merge = self.dataset.merge_insert(key).when_matched_update_all()
                merge.write_mode("rewrite_rows").execute(changed)
            if new.num_rows:
                self.dataset = lance.write_dataset(
                    new, self.dataset, mode="append", max_rows_per_file=FRAGMENT_ROWS
                )
        return UpsertCounts(
            inserted=new.num_rows,
            updated=changed.num_rows,
            unchanged=rows.num_rows - new.num_rows - changed.num_rows,
        )

    def delete(self, where: str) -> int:
        self._begin_write()
        doomed = self.count(where)  # Lance writes a version even where no row fits
        if doomed:
            with self._errors(where):
                self.dataset.delete(where)
        return doomed

    def add_columns(self, fields: Sequence[pa.Field]) -> None:
        self._begin_write()
        new = []
        for field in fields:
            at = self.schema.get_field_index(field.name)
            if at < 0:
                new.append(field.with_nullable(True))
            elif self.schema.field(at).type != field.type:
                raise InputError(
                    f"column {field.name!r} exists as {self.schema.field(at).type}, not as "
                    f"{field.type}; give the new column another name"
                )
        if new:
            with self._errors():
                self.dataset.add_columns(new)

    def fragments(self) -> Sequence[int]:
        return [fragment.fragment_id for fragment in self.dataset.get_fragments()]

    def read_fragment(
        self, fragment: int, columns: Sequence[str], *, where: str | None = None
    ) -> pa.Table:
        self._known(columns)
        with self._errors(where):
            part = lance_fill.get_fragment(self.dataset, fragment)
            table: pa.Table = self.dataset.scanner(
                columns=list(columns), filter=where, fragments=[part]
            ).to_table()
            return table

    def stage_fill(self, fragment: int, cells: pa.Table) -> str:
        self._known(cells.column_names)
        with self._errors():
            return lance_fill.stage(
                self.dataset, self.location, fragment, _cast(cells, self.schema)
            )

    def commit_fills(self, tokens: Sequence[str]) -> None:
        self._begin_write()
        with self._errors():
            self.dataset = lance_fill.commit(self.dataset, self.location, tokens)

    def restore(self, version: int) -> None:
        self._begin_write()
        if version == self.version:
            return
        with self._errors():
            self.dataset.checkout_version(version).restore()
        self.dataset = _open(self.location)

    def nearest(
        self,
        column: str,
        vector: Sequence[float],
        *,
        k: int,
        where: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        self._known([column, *(columns or ())])
        with self._errors(where):
            return lance_search.nearest(
                self.dataset, column, vector, k=k, where=where, columns=columns
            )

    def match(
        self,
        column: str,
        words: str,
        *,
        k: int,
        where: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        self._known([column, *(columns or ())])
        with self._errors(where):
            return lance_search.match(
                self.dataset, column, words, k=k, where=where, columns=columns
            )

    def ensure_index(self, column: str, kind: str) -> None:
        self._begin_write()
        self._known([column])
        with self._errors():
            lance_search.ensure_index(self.dataset, column, kind)
        self.dataset = _open(self.location)

    def files(self) -> Sequence[str]:
        """Data, deletion and index files and the manifest of this version; never the hint file,
        never ``_transactions``: a copy opens and can be written without them."""
        with self._errors():
            listed = self.dataset.tracked_files(min_version=self.version).read_all()
        ours = pc.and_(
            pc.equal(listed["version"], self.version),
            pc.not_equal(listed["type"].cast(pa.string()), "transaction file"),
        )
        return sorted(set(listed.filter(ours)["path"].to_pylist()))

    def _begin_write(self) -> None:
        if self.location.version is not None:
            raise InputError(
                f"{self.location.uri} is open at version {self.location.version}, read only; "
                "open it without a version, in a workspace, to write"
            )
        self.dataset = _open(self.location)  # writes go on top of what other handles wrote

    def _known(self, columns: Sequence[str] | None) -> None:
        unknown = [name for name in columns or () if name not in self.schema.names]
        if unknown:
            raise InputError(
                f"no column {', '.join(map(repr, unknown))}; the columns are "
                f"{', '.join(self.schema.names)}"
            )

    def _errors(self, where: str | None = None) -> Any:
        return lance_errors(self.location.uri, where=where, columns=self.schema.names)


class LanceTableStore:
    """The ``TableStore`` of Lance datasets, in folders and in ``s3://`` buckets."""

    def exists(self, location: TableLocation) -> bool:
        try:
            self.open(location)
        except NotFound:
            return False
        return True

    def create(self, location: TableLocation, schema: pa.Schema) -> LanceTable:
        """A new, empty table. Raises InputError where there is one already."""
        with lance_errors(location.uri):
            dataset = lance.write_dataset(
                schema.empty_table(),
                location.uri,
                mode="create",
                enable_stable_row_ids=True,
                storage_options=dict(location.storage_options) or None,
            )
        return LanceTable(location, dataset)

    def open(self, location: TableLocation) -> LanceTable:
        return LanceTable(location, _open(location))


def _open(location: TableLocation) -> Any:
    with lance_errors(location.uri):
        return lance.dataset(
            location.uri,
            version=location.version,
            storage_options=dict(location.storage_options) or None,
        )


def _cast(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    fields = [schema.field(name) for name in rows.column_names]
    try:
        return rows.cast(pa.schema(fields))
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as err:
        raise InputError(f"the rows do not fit the table's types: {err}; cast them first") from err
