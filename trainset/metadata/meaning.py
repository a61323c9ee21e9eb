"""What the fields of one table file mean: judged over all of it, without holding it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from trainset.metadata.formats.chunks import Chunk
from trainset.metadata.formats.seen import Seen, numbers_of
from trainset.metadata.formats.table_file import TableFile
from trainset.metadata.layout import Fields, Layout, find_layout, get
from trainset.metadata.units import are_fractions

SAMPLE = 1000  # records that the layout is found by

Unroll = Callable[[Fields], Fields]


@dataclass(frozen=True)
class Meaning:
    """The layout of a file's records; whether their boxes are fractions of the image."""

    layout: Layout
    fractions: bool


class _Records:
    """The records of a file, as often as they are asked for."""

    def __init__(self, table: TableFile, unroll: Unroll) -> None:
        self._table, self._unroll = table, unroll

    def __iter__(self) -> Iterator[Fields]:
        return (self._unroll(fields) for chunk in self._table for fields in chunk.fields())


def find_meaning(table: TableFile, *, media: str | None, unroll: Unroll) -> Meaning | None:
    """The meaning of a file's fields; None when it has no record.

    Args:
        media: the field that names the medium; None: found.
        unroll: applied to each record.
    Raises:
        InputError: no field names a medium, or the file cannot be read.
    """
    records = _Records(table, unroll)
    sample = list(islice(records, SAMPLE))
    if not sample:
        return None
    if media is not None and all(get(fields, media) is None for fields in sample):
        late = next((fields for fields in records if get(fields, media) is not None), None)
        sample += [] if late is None else [late]
    layout = find_layout(sample, media=media, place=table.place)
    if layout.record_id and not _are_unique(table, layout.record_id, unroll):
        layout = replace(layout, record_id=None)
    return Meaning(layout, are_fractions(records, layout))


def _are_unique(table: TableFile, name: str, unroll: Unroll) -> bool:
    seen = Seen()
    return not any(
        seen.add(numbers_of(text.encode("utf-8", "surrogatepass") for text in texts)).any()
        for texts in (_texts(chunk, name, unroll) for chunk in table)
    )


def _texts(chunk: Chunk, name: str, unroll: Unroll) -> list[str]:
    columns = chunk.columns()
    if columns is not None and name in columns.column_names:
        return [str(None if v == "" else v) for v in columns[name].to_pylist()]
    return [str(get(unroll(fields), name)) for fields in chunk.fields()]
