"""``where`` of a table: SQL over its rows, judged by DuckDB in a box of its own."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from trainset.errors import InputError, SpecError
from trainset.spec_where import parse_where


def check_filter(where: str) -> None:
    """Refuse what is no condition over one row.

    Raises:
        SpecError: not SQL, or it asks for more than the row (a query, an unknown function).
    """
    tree = parse_where(where, example="status = 'final' and score > 0.5")
    if (found := tree.find(exp.Query, exp.Anonymous, exp.DDL, exp.Command)) is not None:
        raise SpecError(
            f"where {where!r}: {found.sql(dialect='duckdb')!r} is more than a condition over one "
            "row; use the row's columns, literals and plain functions"
        )


def rows_that_fit(table: pa.Table, where: str) -> pa.ChunkedArray:
    """One boolean a row, in the order of ``table``; null counts as no.

    Raises:
        InputError: the condition does not go with these columns.
    """
    import duckdb

    check_filter(where)
    options = {"enable_external_access": "false", "threads": "1", "preserve_insertion_order": True}
    with duckdb.connect(config=options) as box:
        box.register("the_rows", table)
        try:
            found = box.sql(
                f"SELECT coalesce(CAST(({where}) AS BOOLEAN), false) AS f FROM the_rows"
            )
            return pc.cast(found.to_arrow_table()["f"], pa.bool_())
        except duckdb.Error as err:
            text = str(err).split("\n")[0]
            raise InputError(
                f"where {where!r} does not go with these rows ({text}); the columns are "
                f"{', '.join(table.column_names)}"
            ) from err
