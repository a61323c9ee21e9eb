"""Label records of a table file as Arrow: by columns where they can be, else row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.identity import hash64_hex
from trainset.metadata.base import Rejected
from trainset.metadata.formats.chunks import Chunk, Rows
from trainset.metadata.formats.seen import Numbers, Seen, numbers_of
from trainset.metadata.formats.table_file import TableFile
from trainset.metadata.meaning import Meaning, find_meaning
from trainset.metadata.records import RECORDS, Record, to_table
from trainset.metadata.shapes import label_records, unrolled
from trainset.metadata.table_columns import can_be_columns, plain_records

_HASH = re.compile("[0-9a-f]{16}")


class Part(NamedTuple):
    """Records of one stretch of a file.

    Attributes:
        records: in the schema ``RECORDS``.
        rejected: what could not be used.
        numbers: (records,) a 64-bit number for each ``record_id``; None: not made yet.
    """

    records: pa.Table
    rejected: Sequence[Rejected]
    numbers: Numbers | None = None


def read_table_file(
    table: TableFile, *, source: str, media_column: str | None = None
) -> Iterator[Part]:
    """The records of a file, equal to those of ``shapes.read_table``, in memory one chunk each.

    Args:
        source: goes into the records.
        media_column: the field that names the medium; None: found.
    Raises:
        InputError: the file as a whole cannot be read, or no field names a medium.
    """
    meaning = find_meaning(table, media=media_column, unroll=unrolled)
    names = _Names()
    for chunk in table:
        if meaning is None:
            part = Part(RECORDS.empty_table(), chunk.rejected)
        else:
            part = _part(chunk, meaning, source, table.stream)
        yield part._replace(records=names.apply(part))


def _part(chunk: Chunk, meaning: Meaning, source: str, stream: str) -> Part:
    columns = chunk.columns() if len(chunk) else None
    if columns is None or not can_be_columns(meaning, columns):
        places, rows, faults = _by_row(chunk, range(len(chunk)), meaning, stream)
        return Part(to_table(rows, source=source, stream=stream), [*chunk.rejected, *faults])
    found = plain_records(columns, meaning.layout)
    count = len(found.contents)
    own, numbers = found.columns["record_id"], None
    if own.null_count:
        numbers = numbers_of(found.contents.cast(pa.binary()).to_pylist())
        own = pc.coalesce(own, _hex(numbers))
    texts = {"source": pa.repeat(source, count), "stream": pa.repeat(stream, count)}
    whole = {**found.columns, **texts, "record_id": own}
    records = pa.table([whole[name] for name in RECORDS.names], schema=RECORDS)
    if count == len(chunk):
        return Part(records, chunk.rejected, None if meaning.layout.record_id else numbers)
    plain = found.plain.to_numpy(zero_copy_only=False)
    places, rows, faults = _by_row(chunk, np.flatnonzero(~plain).tolist(), meaning, stream)
    both = pa.concat_tables([records, to_table(rows, source=source, stream=stream)])
    order = np.argsort(np.concatenate([np.flatnonzero(plain), places]), kind="stable")
    return Part(both.take(order), [*chunk.rejected, *faults])


def _by_row(
    chunk: Chunk, wanted: Sequence[int], meaning: Meaning, stream: str
) -> tuple[list[int], list[Record], list[Rejected]]:
    """Records of some rows with a row's number each, and what of them is rejected."""
    all_fields = chunk.fields()
    places: list[int] = []
    rows: list[Record] = []
    faults: list[Rejected] = []
    for i in wanted:
        for item in label_records(Rows([chunk.where(i)], [all_fields[i]]), meaning, stream):
            if isinstance(item, Rejected):
                faults.append(item)
            else:
                if item["record_id"] is None:
                    item["record_id"] = hash64_hex(item)
                places.append(i)
                rows.append(item)
    return places, rows, faults


def _hex(numbers: Numbers) -> pa.Array:
    """16 hex digits each."""
    digits = numbers.astype(">u8").tobytes().hex()
    ends = np.arange(0, len(digits) + 1, 16, dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(numbers), pa.py_buffer(ends), pa.py_buffer(digits.encode())
    )


class _Names:
    """Makes ids unique within a file: as ``records.NameRecords``, in 8 bytes a record."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._times: dict[str, int] = {}  # of ids that were met more than once

    def apply(self, part: Part) -> pa.Table:
        records, numbers = part.records, part.numbers
        ids = records["record_id"].combine_chunks()
        if numbers is None:
            numbers = _numbers_of_ids(ids)
        met = self._seen.add(numbers)
        if not met.any():
            return records
        names: list[str] = ids.to_pylist()
        for i in np.flatnonzero(met).tolist():
            base = names[i]
            times = self._times[base] = self._times.get(base, 1) + 1
            names[i] = f"{base}~{times}"
        at = RECORDS.get_field_index("record_id")
        return records.set_column(at, RECORDS.field(at), pa.array(names, pa.string()))


def _numbers_of_ids(ids: pa.Array) -> Numbers:
    """An id that is 16 hex digits, as the hash of a content, is its own number."""
    return np.array(
        [
            int(text, 16) if _HASH.fullmatch(text) else int(numbers_of([text.encode()])[0])
            for text in ids.to_pylist()
        ],
        np.uint64,
    )
