"""Where rows of Lance tables lie: rows read at their addresses, and rows that versions share.

An address is the fragment's number (upper 32 bits) and the row's place in it. Versions of one table
that grew apart (a run's, main's) still share the data files of most fragments, and no file is ever
written again: a row at the same address of the same files is the same row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

AT_ONCE = 10_000  # addresses named in one query
_MOST = 0.3  # above this share of a fragment's rows, it is read whole

_SHIFT, _PLACE = np.uint64(32), np.uint64(2**32 - 1)
_NO_FIELD = -1

Addresses = NDArray[np.uint64]
Mask = NDArray[np.bool_]


def read_ids(dataset: Any, ids: pa.Array, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of these row ids: looked up by a scan of that column, then read at their place."""
    stored = dataset.scanner(columns=["row_id"], with_row_address=True).to_table()
    hit = pc.is_in(stored["row_id"], value_set=ids)
    yield from _read_at(dataset, np.sort(stored["_rowaddr"].filter(hit).to_numpy()), columns)


def read_unlike(
    datasets: Sequence[Any], columns: Sequence[str]
) -> list[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Of each dataset the rows, less those that lie at the same place of the same files in all.

    ``columns`` that a dataset lacks are not in its batches.
    """
    common = _common_fragments(datasets, columns)
    grid = _Grid(common)
    alive = [grid.alive(dataset) for dataset in datasets]
    everywhere = np.logical_and.reduce(alive)
    read = []
    for dataset, mine in zip(datasets, alive, strict=True):
        names = [name for name in columns if name in dataset.schema.names]
        schema = pa.schema([dataset.schema.field(name) for name in names])
        read.append((schema, _read_places(dataset, grid, mine & ~everywhere, names)))
    return read


def _read_places(
    dataset: Any, grid: _Grid, wanted: Mask, names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The rows at the wanted places of the grid, and all of other fragments."""
    parts = {part.fragment_id: part for part in dataset.get_fragments()}
    if apart := [part for number, part in parts.items() if number not in grid.numbers]:
        yield from dataset.scanner(columns=names, fragments=apart).to_batches()
    crowded = grid.crowded(wanted)
    yield from _read_at(dataset, grid.addresses(wanted & ~grid.spread(crowded)), names)
    if whole := [parts[number] for number in grid.numbers[crowded].tolist()]:
        rows = dataset.scanner(columns=names, fragments=whole, with_row_address=True)
        for batch in rows.to_batches():
            picked = wanted[grid.flat(batch["_rowaddr"].to_numpy())]
            yield batch.filter(pa.array(picked)).select(names)


class _Grid:
    """The places of F fragments, one after the other: (P,) for P physical rows in all."""

    def __init__(self, rows: Mapping[int, int]) -> None:
        self.numbers = np.fromiter(rows, np.int64)
        self._rows = np.fromiter(rows.values(), np.int64)
        self._starts = np.cumsum(self._rows) - self._rows
        self._start_of = np.zeros(max(rows, default=0) + 1, np.int64)
        self._start_of[self.numbers] = self._starts

    def flat(self, addresses: Addresses) -> NDArray[np.int64]:
        """Places of addresses."""
        places = (addresses & _PLACE).astype(np.int64)
        found: NDArray[np.int64] = self._start_of[addresses >> _SHIFT] + places
        return found

    def addresses(self, mask: Mask) -> Addresses:
        """Addresses, ascending, of the places of a mask."""
        places = np.flatnonzero(mask)
        at = np.searchsorted(self._starts, places, side="right") - 1
        numbers = self.numbers[at].astype(np.uint64) << _SHIFT
        return np.sort(numbers | (places - self._starts[at]).astype(np.uint64))

    def crowded(self, mask: Mask) -> Mask:
        """(F,) fragments in most of whose rows a mask holds."""
        upto = np.concatenate([[0], np.cumsum(mask)])
        counts = upto[self._starts + self._rows] - upto[self._starts]
        found: Mask = counts > _MOST * self._rows
        return found

    def spread(self, fragments: Mask) -> Mask:
        """(F,) to (P,)."""
        return np.repeat(fragments, self._rows)

    def alive(self, dataset: Any) -> Mask:
        """Where a row is that the dataset did not delete."""
        mask = np.ones(int(self._rows.sum()), dtype=bool)
        known = set(self.numbers.tolist())
        parts = [part for part in dataset.get_fragments() if part.fragment_id in known]
        if holed := [part for part in parts if part.deletion_file() is not None]:
            rows = dataset.scanner(columns=[], fragments=holed, with_row_address=True).to_table()
            mask &= ~self.spread(np.isin(self.numbers, [part.fragment_id for part in holed]))
            mask[self.flat(rows["_rowaddr"].to_numpy())] = True
        return mask


def _read_at(
    dataset: Any, addresses: Addresses, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(addresses), AT_ONCE):
        wanted = ", ".join(map(str, addresses[start : start + AT_ONCE].tolist()))
        where = f"_rowaddr IN ({wanted})"
        yield from dataset.scanner(columns=list(columns), filter=where).to_batches()


def _common_fragments(datasets: Sequence[Any], columns: Sequence[str]) -> dict[int, int]:
    """Physical rows by number of the fragments whose ``columns`` lie in the same files in all."""
    first, *others = [_holders(dataset, columns) for dataset in datasets]
    return {
        part.fragment_id: part.physical_rows
        for part in datasets[0].get_fragments()
        if part.physical_rows
        and all(held.get(part.fragment_id) == first[part.fragment_id] for held in others)
    }


def _holders(dataset: Any, columns: Sequence[str]) -> dict[int, list[tuple[str, int] | None]]:
    """By fragment and column: the file that holds it, and where in it; None: no row has a value."""
    fields = {field.name(): field.id() for field in dataset.lance_schema.fields()}
    found = {}
    for part in dataset.get_fragments():
        at = {
            field: (file["path"], place)
            for file in part.metadata.to_json()["files"]
            for field, place in zip(file["fields"], file["column_indices"], strict=True)
        }
        found[part.fragment_id] = [at.get(fields.get(name, _NO_FIELD)) for name in columns]
    return found
