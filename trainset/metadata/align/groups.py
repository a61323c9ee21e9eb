"""Media by one of their names, looked up a column at a time."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.name_columns import Ints

_AT_ONCE = 4_000_000  # members listed at once; bounds memory


class Groups:
    """Media in groups; a medium is in one of them or in none.

    Attributes:
        codes: (M,) the group of each medium, -1: none.
        counts: (G,) media in each group; first: (G,) the first of them.
    """

    def __init__(self, codes: Ints, size: int) -> None:
        self.codes = codes
        held = np.flatnonzero(codes >= 0)
        self.counts = np.bincount(codes[held], minlength=size)
        self.first = np.full(size, -1, np.int64)
        self.first[codes[held[::-1]]] = held[::-1]

    @cached_property
    def _order(self) -> Ints:
        held = np.flatnonzero(self.codes >= 0)
        return held[np.argsort(self.codes[held], kind="stable")]

    @cached_property
    def _starts(self) -> Ints:
        return np.concatenate([[0], np.cumsum(self.counts)])

    def members(self, code: int, limit: int | None = None) -> Ints:
        """Media of one group, ascending."""
        found = self._order[self._starts[code] : self._starts[code + 1]]
        return found[:limit]

    def only_within(self, codes: Ints, other: Groups, others: Ints) -> Ints:
        """The one medium that is in a group of these and in one of ``other``; -1: none or several.

        Args:
            codes: (Q,) groups of this.
            others: (Q,) groups of ``other``.
        """
        found = np.full(len(codes), -1, np.int64)
        totals = np.cumsum(self.counts[codes])
        cuts = np.arange(_AT_ONCE, totals[-1] if len(totals) else 0, _AT_ONCE)
        for part in np.split(np.arange(len(codes)), np.searchsorted(totals, cuts)):
            counts = self.counts[codes[part]]
            owner = np.repeat(part, counts)
            ahead = np.cumsum(counts) - counts
            step = np.arange(len(owner)) - np.repeat(ahead, counts)
            media = self._order[np.repeat(self._starts[codes[part]], counts) + step]
            both = other.codes[media] == others[owner]
            owner, media = owner[both], media[both]
            alone = np.bincount(owner, minlength=len(codes))[owner] == 1
            found[owner[alone]] = media[alone]
        return found


class NameGroups(Groups):
    """Media in groups of one name; an empty name is none.

    Args:
        names: (K,) of the media ``at``; None: of all.
        media: how many media there are.
    """

    def __init__(
        self, names: pa.LargeStringArray, at: Ints | None = None, media: int | None = None
    ) -> None:
        named = pc.if_else(pc.equal(names, ""), None, names).dictionary_encode()
        self._names = named.dictionary
        codes = pc.fill_null(named.indices.cast(pa.int64()), -1).to_numpy()
        if at is not None:
            some, codes = codes, np.full(media or 0, -1, np.int64)
            codes[at] = some
        super().__init__(codes, len(self._names))

    def find(self, names: pa.LargeStringArray) -> Ints:
        """The group of each name, -1: none."""
        if not len(names):  # a look-up makes a hash table of all names
            return np.zeros(0, np.int64)
        found = pc.index_in(names, value_set=self._names)
        codes: Ints = pc.fill_null(found.cast(pa.int64()), -1).to_numpy()
        return codes
