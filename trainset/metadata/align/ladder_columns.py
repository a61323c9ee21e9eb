"""Media by everything that records may call them, a column at a time; ``climb`` asks it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.groups import Groups, NameGroups
from trainset.metadata.align.name_columns import Ints, Mask, Slashes, column, stems
from trainset.metadata.align.near_columns import NearIndex
from trainset.metadata.align.spelling import spell


class MediaColumns:
    """Media by everything that records may call them; positions are those of the columns given.

    Args:
        keys: ``<source name>/<relative path>``.
        source_uris: where each lay, a path or a uri; null where that is not known.
        sha256s: hex digests; null where that is not known.
    Attributes:
        keys, places, relatives: (M,) in normal spelling: the key, where the medium lies without
            its scheme, and what is left of the key without the source's name.
    """

    def __init__(
        self, keys: pa.ChunkedArray, source_uris: pa.ChunkedArray, sha256s: pa.ChunkedArray
    ) -> None:
        by_key, uris = spell(column(keys)), column(source_uris)
        lies, nowhere = spell(uris), pc.equal(uris, "")
        self.keys = by_key.ref
        self.places = pc.if_else(nowhere, by_key.ref, lies.place)
        self._names = by_key.name
        self._new_names = pc.if_else(nowhere, by_key.name, lies.name)
        self._sha256s = sha256s

    @cached_property
    def relatives(self) -> pa.LargeStringArray:
        return Slashes(self.keys).without_first()

    @cached_property
    def renamed(self) -> Ints:
        """Media that are called otherwise where they lie than in their key."""
        differ = pc.not_equal(self._names, self._new_names)
        return np.flatnonzero(differ.to_numpy(zero_copy_only=False))

    @cached_property
    def each(self) -> Groups:
        """Every medium a group of its own."""
        return Groups(np.arange(len(self.keys)), len(self.keys))

    @cached_property
    def by_name(self) -> NameGroups:
        return NameGroups(self._names)

    @cached_property
    def by_new_name(self) -> NameGroups:
        """The renamed ones by what they are called where they lie."""
        names = self._new_names.take(pa.array(self.renamed))
        return NameGroups(names, self.renamed, len(self.keys))

    @cached_property
    def by_stem(self) -> NameGroups:
        return NameGroups(stems(self._names))

    @cached_property
    def by_sha256(self) -> NameGroups:
        return NameGroups(pc.ascii_lower(column(self._sha256s)))

    @cached_property
    def near(self) -> NearIndex:
        return NearIndex(self.by_name.codes, self.places, self.relatives)


class MediaPaths:
    """Some of the media by key and path.

    Args:
        some: (M,) which.
    """

    def __init__(self, media: MediaColumns, some: Mask) -> None:
        self._at = np.flatnonzero(some)
        self._media = len(some)
        taken = pa.array(self._at)
        self._keys, self._places, self._relatives = (
            texts if some.all() else texts.take(taken)
            for texts in (media.keys, media.places, media.relatives)
        )
        self._by_suffix: dict[int, NameGroups] = {}

    def suffixes(self, segments: int) -> NameGroups:
        """By the last so many segments of their place."""
        if segments not in self._by_suffix:
            cuts = self._place_cuts
            enough = pa.array(cuts.segments >= segments)
            self._by_suffix[segments] = self._groups(pc.if_else(enough, cuts.last(segments), ""))
        return self._by_suffix[segments]

    @cached_property
    def relative_depths(self) -> Ints:
        """How many segments relative paths have, each number once."""
        return numbers_in(Slashes(self._relatives).segments)

    @cached_property
    def by_key(self) -> NameGroups:
        return self._groups(self._keys)

    @cached_property
    def by_relative(self) -> NameGroups:
        return self._groups(self._relatives)

    @cached_property
    def by_place(self) -> NameGroups:
        return self._groups(self._places)

    @cached_property
    def _place_cuts(self) -> Slashes:
        return Slashes(self._places)

    def _groups(self, names: pa.LargeStringArray) -> NameGroups:
        return NameGroups(names, self._at, self._media)


def numbers_in(found: Ints) -> Ints:
    """Each of some small numbers once, ascending."""
    return np.flatnonzero(np.bincount(found))
