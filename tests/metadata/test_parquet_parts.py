"""Parts of a table: small, and the same values whatever encodings were chosen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainset.metadata.parts import ParquetPart

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def _written(folder: Path, rows: pa.Table) -> pq.ParquetFile:
    part = ParquetPart(folder / "part.parquet", rows.schema, by_values=True)
    part.add(rows)
    part.close("part")
    return pq.ParquetFile(part.made[0])


def test_ordered_columns_cost_next_to_nothing_and_come_back_as_they_were(tmp_path: Path) -> None:
    count = 20_000
    ends = [-(2**63), 2**63 - 1, None]
    rows = pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "at": pa.array([_BEGIN + timedelta(seconds=i) for i in range(count)]),
            "wild": pa.array([ends[i % 3] if i < 99 else i**4 for i in range(count)], pa.int64()),
            "class": ["car", "bus"] * (count // 2),
        }
    )
    file = _written(tmp_path, rows)
    assert file.read().equals(rows)
    columns = [file.metadata.row_group(0).column(i) for i in range(4)]
    assert all("DELTA_BINARY_PACKED" in column.encodings for column in columns[:3])
    assert all(column.total_compressed_size < count / 4 for column in columns[:2])
    assert "RLE_DICTIONARY" in columns[3].encodings


def test_a_column_named_as_a_field_of_another_is_written(tmp_path: Path) -> None:
    numbers = pa.array(range(100), pa.int64())
    rows = pa.table({"a.b": numbers, "a": pa.array([{"b": str(i)} for i in range(100)])})
    assert _written(tmp_path, rows).read().equals(rows)
