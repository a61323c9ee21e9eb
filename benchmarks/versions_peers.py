"""The three-way comparison as people write it by hand: in SQL (DuckDB), and as pandas merges.

Both only say which rows to insert, update and delete, and which conflict; they write nothing, and
know nothing of computed cells.
"""

from __future__ import annotations

import pyarrow as pa

_SQL = """
with joined as (
    select coalesce(b.row_id, o.row_id, t.row_id) as row_id, b.row_fp as b, o.row_fp as o,
           t.row_fp as t
    from base b full join ours o on b.row_id = o.row_id
    full join theirs t on coalesce(b.row_id, o.row_id) = t.row_id
)
select row_id,
    case when b is null and o is null then 'insert'
         when t is null then case when b is distinct from o then 'conflict' else 'delete' end
         when o is null or (b is distinct from o and o is distinct from t) then 'conflict'
         else 'update' end as what
from joined where t is distinct from b and t is distinct from o
"""


def plan_by_duckdb(base: pa.Table, ours: pa.Table, theirs: pa.Table) -> dict[str, int]:
    """Rows by what must happen to them."""
    import duckdb

    connection = duckdb.connect()
    for name, table in (("base", base), ("ours", ours), ("theirs", theirs)):
        connection.register(name, table)
    found = connection.sql(_SQL).to_arrow_table()
    return _counts(found["what"])


def plan_by_pandas(base: pa.Table, ours: pa.Table, theirs: pa.Table) -> dict[str, int]:
    """Rows by what must happen to them."""
    import pandas as pd

    b, o, t = (table.to_pandas() for table in (base, ours, theirs))
    joined = b.merge(o, on="row_id", how="outer", suffixes=("_b", "_o"), indicator="in_o")
    joined = joined.merge(t, on="row_id", how="outer", indicator="in_t")
    in_b = joined["in_o"].isin(["left_only", "both"])
    in_o = joined["in_o"].isin(["right_only", "both"])
    in_t = joined["in_t"].isin(["right_only", "both"])
    we = (in_b != in_o) | (in_b & in_o & (joined["row_fp_b"] != joined["row_fp_o"]))
    they = (in_b != in_t) | (in_b & in_t & (joined["row_fp_b"] != joined["row_fp"]))
    differ = (in_o != in_t) | (in_o & in_t & (joined["row_fp_o"] != joined["row_fp"]))
    what = pd.Series("update", index=joined.index)
    what[~in_b & ~in_o] = "insert"
    what[~in_t] = "delete"
    what[we & they & differ] = "conflict"
    return {str(k): int(v) for k, v in what[they & differ].value_counts().items()}


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {str(row["values"]): row["counts"] for row in column.value_counts().to_pylist()}
