"""What of an earlier alignment still stands: matches, row ids and fingerprints. Pure.

While the media, the steps and a stream's label file are as they were, a record that says the same
of its medium has the same medium: only records without one, new and changed ones climb the ladder.
A row that came out as it was keeps its fingerprint; hashing is most of an alignment's cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.name_columns import Ints, Mask
from trainset.spec import MatchMethod
from trainset.tables.row_hash import row_fingerprints, row_ids
from trainset.tables.schema import ANNOTATIONS_FINGERPRINT

MATCHED_BY = ("row_id", "key", "source_uri", "sha256")  # what the ladder reads of media
_NAMED = ["source", "stream", "record_id"]
_REFERENCE = ("source", "stream", "media_ref", "attributes")  # and of records

Stream = tuple[str, str]  # source, stream


@dataclass(frozen=True)
class Before:
    """The alignment of the base commit.

    Attributes:
        rows: its ``annotations``.
        holds: streams whose matches still hold, see ``streams_that_hold``.
    """

    rows: pa.Table
    holds: frozenset[Stream] = frozenset()


def streams_that_hold(
    *,
    same_media: bool,
    methods: tuple[Sequence[MatchMethod], Sequence[MatchMethod]],
    label_uris: tuple[Mapping[Stream, str], Mapping[Stream, str]],
    streams: Sequence[Stream],
) -> frozenset[Stream]:
    """Streams for which nothing changed that a match depends on, but their records.

    Args:
        methods, label_uris: before and now.
    """
    if not same_media or tuple(methods[0]) != tuple(methods[1]):
        return frozenset()
    old, new = label_uris
    return frozenset(s for s in streams if old.get(s) == new.get(s))


def same_media(before: pa.Table, now: pa.Table) -> bool:
    """Whether the ladder would find the same in both, whatever the order of their rows."""
    if len(before) != len(now):
        return False
    old, new = (t.select(MATCHED_BY).sort_by("row_id") for t in (before, now))
    return bool(old.cast(new.schema).equals(new))


class Earlier:
    """Records beside the rows that they had at the base commit.

    Attributes:
        at: (N,) where each record's row was, -1: nowhere.
        known: (K,) records that had one.
    """

    def __init__(self, records: pa.Table, before: Before | None) -> None:
        self.before = before
        self.at = np.full(len(records), -1, np.int64)
        if before is not None:
            self.at = _find_rows(records, before.rows)
        self.known = np.flatnonzero(self.at >= 0)
        self._taken: dict[str, pa.ChunkedArray] = {}

    def column(self, name: str) -> pa.ChunkedArray:
        """(K,) what the rows of ``known`` said."""
        if self.before is None:
            raise ValueError("there is no base commit")
        if name not in self._taken:
            self._taken[name] = _take(self.before.rows[name], self.at[self.known])
        return self._taken[name]

    def still_matched(self, records: pa.Table, media: pa.Table) -> Ints:
        """(N,) the medium of each record whose earlier match stands, -1: to be matched anew."""
        found = np.full(len(records), -1, np.int64)
        if self.before is None or not self.before.holds:
            return found
        same = _in_streams(records, self.before.holds)[self.known]
        for name in _REFERENCE:
            same &= equal(_take(records[name], self.known), self.column(name))
        medium = _positions(self.column("media_id"), media["row_id"])
        found[self.known[same]] = medium[same]
        return found

    def row_ids(self, records: pa.Table) -> pa.Array:
        """Row ids of the records; those that are known keep theirs."""
        if not len(self.known):
            return row_ids(record_keys(records))
        return _merge(
            len(records),
            self.known,
            self.column("row_id"),
            lambda rest: row_ids(record_keys(records.select(_NAMED).take(rest))),
        )

    def fingerprints(self, rows: pa.Table) -> pa.Array:
        """Fingerprints of aligned rows; rows that are as they were keep theirs.

        Args:
            rows: all that a fingerprint is made of.
        """
        if not len(self.known):
            return row_fingerprints(rows, ANNOTATIONS_FINGERPRINT)
        same = np.ones(len(self.known), bool)
        for name in ANNOTATIONS_FINGERPRINT:
            same &= equal(_take(rows[name], self.known), self.column(name))
        return _merge(
            len(rows),
            self.known[same],
            _take(self.column("row_fp"), np.flatnonzero(same)),
            lambda rest: row_fingerprints(rows.take(rest), ANNOTATIONS_FINGERPRINT),
        )


def record_keys(rows: pa.Table) -> pa.ChunkedArray:
    """``<source>/<stream>/<record id>``, which row ids are made of."""
    parts = [rows[n].cast(pa.large_string()) for n in _NAMED]
    return pc.binary_join_element_wise(*parts, pa.scalar("/", pa.large_string()))


def _find_rows(records: pa.Table, before: pa.Table) -> Ints:
    if records.select(_NAMED).equals(before.select(_NAMED).cast(records.select(_NAMED).schema)):
        return np.arange(len(records))
    return _positions(record_keys(records), record_keys(before))


def _take(column: pa.ChunkedArray, at: Ints) -> pa.ChunkedArray:
    """``take``, without a copy where all are taken as they stand."""
    as_is = len(at) == len(column) and bool((at == np.arange(len(at))).all())
    return column if as_is else column.take(pa.array(at))


def equal(old: pa.ChunkedArray, new: pa.ChunkedArray) -> Mask:
    """Where two columns of one type hold the same; null is null, floats are equal to the bit."""
    if old.null_count == new.null_count == len(new):
        return np.ones(len(new), bool)
    valid = [_mask(pc.is_valid(side)) for side in (old, new)]
    if pa.types.is_floating(new.type) or pa.types.is_fixed_size_list(new.type):
        bits = [_bits(side) for side in (old, new)]
        same = (bits[0] == bits[1]).all(axis=1)
    else:
        same = _mask(pc.fill_null(pc.equal(old.cast(new.type), new), False))
    found: Mask = (valid[0] == valid[1]) & (same | ~valid[1])
    return found


def _bits(values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Floats, or their lists, as (N, width) integers."""
    array = values.combine_chunks()
    width = 1
    if pa.types.is_fixed_size_list(array.type):
        width = array.type.list_size
        array = array.values.slice(array.offset * width, len(array) * width)
    filled = pc.fill_null(array, float("nan")).to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(filled, np.float64).view(np.int64).reshape(-1, width)


def _mask(values: pa.ChunkedArray) -> Mask:
    found: Mask = values.combine_chunks().to_numpy(zero_copy_only=False).astype(bool)
    return found


def _positions(wanted: pa.ChunkedArray, known: pa.ChunkedArray) -> Ints:
    """Where each text stands in another column, -1: nowhere, or it is null."""
    values = known.combine_chunks().cast(pa.large_string())
    found = pc.index_in(wanted.cast(pa.large_string()), value_set=values, skip_nulls=True)
    positions: Ints = pc.fill_null(found.cast(pa.int64()), -1).to_numpy()
    return positions


def _in_streams(records: pa.Table, streams: frozenset[Stream]) -> Mask:
    found = np.zeros(len(records), bool)
    for source, stream in streams:
        here = pc.and_(pc.equal(records["source"], source), pc.equal(records["stream"], stream))
        found |= _mask(here)
    return found


def _merge(
    length: int, known: Ints, values: pa.ChunkedArray, make: Callable[[pa.Array], pa.Array]
) -> pa.Array:
    """Known values at their places, and made ones everywhere else."""
    rest = np.ones(length, bool)
    rest[known] = False
    made = make(pa.array(np.flatnonzero(rest)))
    place = np.empty(length, np.int64)
    place[known] = np.arange(len(known))
    place[rest] = len(known) + np.arange(len(made))
    kept = values.combine_chunks().cast(made.type)
    return pa.concat_arrays([kept, made]).take(pa.array(place)) if len(made) else kept
