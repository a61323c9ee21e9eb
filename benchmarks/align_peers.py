"""The key ladder as people write it by hand: in SQL (DuckDB), and as pandas merges.

Both only match; they make no rows, fingerprints, findings or report.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather

_PREFIX = "^[0-9a-f]{8}-"

_SQL = rf"""
with m as (
    select key, source_uri, regexp_replace(key, '^[^/]*/', '') as relative,
           regexp_extract(key, '[^/]*$') as name
    from media
),
r as (
    select record_id, media_ref, regexp_extract(media_ref, '[^/]*$') as name,
           regexp_replace(regexp_extract(media_ref, '[^/]*$'), '{_PREFIX}', '') as bare
    from records
),
by_uri as (select source_uri, any_value(key) as key from m group by 1 having count(*) = 1),
by_relative as (select relative, any_value(key) as key from m group by 1 having count(*) = 1),
by_name as (select name, any_value(key) as key, count(*) as fits from m group by 1)
select r.record_id,
    case when u.key is not null then u.key when p.key is not null then p.key
         when n.fits = 1 then n.key when b.fits = 1 then b.key end as media_key,
    case when u.key is not null or p.key is not null then 'path'
         when n.fits = 1 or b.fits = 1 then 'filename'
         when n.fits > 1 or b.fits > 1 then 'ambiguous' else 'orphan' end as match
from r
left join by_uri u on r.media_ref = u.source_uri
left join by_relative p on r.media_ref = p.relative
left join by_name n on r.name = n.name
left join by_name b on r.bare = b.name
"""


def match_by_duckdb(folder: str) -> dict[str, int]:
    """Records by how they matched."""
    import duckdb

    media, records = _tables(folder)
    connection = duckdb.connect()
    connection.register("media", media)
    connection.register("records", records)
    found = connection.sql(_SQL).to_arrow_table()
    return _counts(found["match"])


def match_by_pandas(folder: str) -> dict[str, int]:
    """Records by how they matched."""
    import pandas as pd

    media, records = (table.to_pandas() for table in _tables(folder))
    media["relative"] = media["key"].str.replace("^[^/]*/", "", regex=True)
    media["name"] = media["key"].str.rsplit("/", n=1).str[-1]
    records["name"] = records["media_ref"].str.rsplit("/", n=1).str[-1]
    records["bare"] = records["name"].str.replace(_PREFIX, "", regex=True)
    found = pd.Series(pd.NA, index=records.index, dtype="object")
    how = pd.Series("orphan", index=records.index, dtype="object")
    for theirs, ours, method in (
        ("source_uri", "media_ref", "path"),
        ("relative", "media_ref", "path"),
        ("name", "name", "filename"),
        ("name", "bare", "filename"),
    ):
        fits = media.groupby(theirs, sort=False)["key"].agg(["first", "size"]).reset_index()
        left = records.loc[found.isna(), ["record_id", ours]]
        merged = left.merge(fits, how="left", left_on=ours, right_on=theirs)
        merged.index = left.index
        one = merged.index[merged["size"] == 1]
        found.loc[one] = merged.loc[one, "first"]
        how.loc[one] = method
        if method == "filename":
            how.loc[merged.index[merged["size"] > 1]] = "ambiguous"
    return {str(name): int(count) for name, count in how.value_counts().items()}


def _tables(folder: str) -> tuple[pa.Table, pa.Table]:
    place = Path(folder)
    media = feather.read_table(place / "media.arrow", columns=["key", "source_uri"])
    return media, feather.read_table(place / "records.arrow", columns=["record_id", "media_ref"])


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {str(row["values"]): row["counts"] for row in column.value_counts().to_pylist()}
