"""Media by everything that records may call them, a column at a time; ``climb`` asks it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.groups import NameGroups
from trainset.metadata.align.name_columns import (
    Ints,
    Slashes,
    column,
    spell,
    stems,
)
from trainset.metadata.align.near_columns import NearIndex


class MediaColumns:
    """Media by everything that records may call them; positions are those of the columns given.

    Args:
        keys: ``<source name>/<relative path>``.
        source_uris: where each lay, a path or a uri; null where that is not known.
        sha256s: hex digests; null where that is not known.
    """

    def __init__(
        self, keys: pa.ChunkedArray, source_uris: pa.ChunkedArray, sha256s: pa.ChunkedArray
    ) -> None:
        self._keys = spell(column(keys)).ref
        uris = column(source_uris)
        self._places = pc.if_else(pc.equal(uris, ""), self._keys, spell(uris).place)
        self._sha256s = sha256s
        self._by_suffix: dict[int, NameGroups] = {}

    def suffixes(self, segments: int) -> NameGroups:
        """Media by the last so many segments of their place."""
        if segments not in self._by_suffix:
            cuts = self._place_cuts
            enough = pa.array(cuts.segments >= segments)
            self._by_suffix[segments] = NameGroups(pc.if_else(enough, cuts.last(segments), ""))
        return self._by_suffix[segments]

    @cached_property
    def _place_cuts(self) -> Slashes:
        return Slashes(self._places)

    @cached_property
    def relatives(self) -> pa.LargeStringArray:
        return Slashes(self._keys).without_first()

    @cached_property
    def relative_depths(self) -> Ints:
        """How many segments relative paths have, each number once."""
        return numbers_in(Slashes(self.relatives).segments)

    @cached_property
    def _names(self) -> pa.LargeStringArray:
        return Slashes(self._keys).last(1)

    @cached_property
    def by_key(self) -> NameGroups:
        return NameGroups(self._keys)

    @cached_property
    def by_relative(self) -> NameGroups:
        return NameGroups(self.relatives)

    @cached_property
    def by_place(self) -> NameGroups:
        return NameGroups(self._places)

    @cached_property
    def by_name(self) -> NameGroups:
        return NameGroups(self._names)

    @cached_property
    def by_stem(self) -> NameGroups:
        return NameGroups(stems(self._names))

    @cached_property
    def by_sha256(self) -> NameGroups:
        return NameGroups(pc.ascii_lower(column(self._sha256s)))

    @cached_property
    def near(self) -> NearIndex:
        return NearIndex(self.by_name.codes, self._places, self.relatives)


def numbers_in(found: Ints) -> Ints:
    """Each of some small numbers once, ascending."""
    return np.flatnonzero(np.bincount(found))
