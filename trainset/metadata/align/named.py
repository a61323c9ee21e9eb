"""References by the media that bear their last name, which is looked up once for all steps.

The steps ``key`` and ``path`` find only media that are called as the reference is. Where none is
they have nothing to look for; where one medium alone is, they only have to compare.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainset.metadata.align.found import Asking
from trainset.metadata.align.ladder_columns import MediaColumns
from trainset.metadata.align.name_columns import Ints, Mask, cut, lengths, texts
from trainset.metadata.align.spelling import Spelling

NOBODY, SEVERAL = -1, -2
_NAMELESS = pa.array(["", ".", ".."], pa.large_string())  # what ends so has no name
_SLASH = ord("/")


class Named:
    """References in one spelling.

    Attributes:
        spelling: (Q,) columns.
        group: (Q,) of ``media.by_name``; -1: no key ends so.
        only: (Q,) the one medium whose key and place end so; ``NOBODY``; or ``SEVERAL``, or what
            else has to be looked up.
    """

    def __init__(self, media: MediaColumns, spelling: Spelling) -> None:
        self.media = media
        self.spelling = spelling
        self.group = media.by_name.find(spelling.name)
        alone = np.where(media.by_name.counts == 1, media.by_name.first, SEVERAL)
        renamed = media.by_name.codes[media.renamed]
        alone[renamed[renamed >= 0]] = SEVERAL
        self.only = np.append(alone, NOBODY)[self.group]  # group -1 is the last
        if len(renamed):
            self.only[media.by_new_name.find(spelling.name) >= 0] = SEVERAL
        short = np.flatnonzero(lengths(spelling.name) <= 2)
        nameless = pc.is_in(spelling.name.take(pa.array(short)), value_set=_NAMELESS)
        self._nameless = short[nameless.to_numpy(zero_copy_only=False)]
        self.only[self._nameless] = SEVERAL

    def media_looked_up(self) -> Mask:
        """(M,) media that ``key`` and ``path`` may find for the references of ``SEVERAL``."""
        if len(self._nameless):
            return np.ones(len(self.media.by_name.codes), bool)
        wanted = np.zeros(len(self.media.by_name.counts) + 1, bool)
        wanted[self.group[self.only == SEVERAL]] = True
        found = wanted[self.media.by_name.codes]
        found[self.media.renamed] = True
        return found

    def compare_keys(self, asking: Asking) -> None:
        """The step ``key``, for references of one medium only."""
        one = self.only[asking.rows]
        self._answer(asking, equal(self.spelling.ref, asking.rows, self.media.keys, one))

    def compare_paths(self, asking: Asking, placed: pa.LargeStringArray, at: Ints) -> None:
        """The step ``path``, likewise; ``climb`` says what its parts are.

        Args:
            placed: with the label file's folder, where that says more than the reference.
            at: where in ``placed`` each reference stands.
        """
        media, tail = self.media, self.spelling.tail
        self._answer(asking, equal(placed, at, media.places, self.only[asking.rows]))
        one = self.only[asking.rows]
        self._answer(asking, equal(self.spelling.ref, asking.rows, media.relatives, one))
        folders = lengths(tail)[asking.rows] > lengths(self.spelling.name)[asking.rows]
        asking.keep(folders)  # a bare name is for ``near`` and ``filename``
        one = self.only[asking.rows]
        self._answer(asking, ends_with(media.places, one, tail, asking.rows))
        one = self.only[asking.rows]
        known, said = lengths(media.relatives)[one], lengths(tail)[asking.rows]
        asking.keep((said > known) & (known > lengths(self.spelling.name)[asking.rows]))
        one = self.only[asking.rows]
        self._answer(asking, ends_with(tail, asking.rows, media.relatives, one))

    def _answer(self, asking: Asking, same: Mask) -> None:
        asking.answer(self.media.each, np.where(same, self.only[asking.rows], -1))


def equal(one: pa.LargeStringArray, at: Ints, other: pa.LargeStringArray, of: Ints) -> Mask:
    """Whether text ``at[i]`` of one column is text ``of[i]`` of another."""
    same: Mask = lengths(one)[at] == lengths(other)[of]
    maybe = np.flatnonzero(same)
    if len(maybe):
        both = (one.take(pa.array(at[maybe])), other.take(pa.array(of[maybe])))
        same[maybe] = pc.equal(*both).to_numpy(zero_copy_only=False)
    return same


def ends_with(whole: pa.LargeStringArray, at: Ints, tail: pa.LargeStringArray, of: Ints) -> Mask:
    """Whether the last segments of path ``at[i]`` are the path ``of[i]`` of another column."""
    paths = texts(whole)
    spare = lengths(whole)[at] - lengths(tail)[of]
    same: Mask = spare >= 0
    cuts = (paths.starts[at] + spare)[spare > 0]
    same[spare > 0] = paths.data[cuts - 1] == _SLASH
    maybe = np.flatnonzero(same)
    if len(maybe):
        taken = texts(whole.take(pa.array(at[maybe])))
        ends = cut(taken, taken.starts + spare[maybe], taken.ends)
        found = pc.equal(ends, tail.take(pa.array(of[maybe])))
        same[maybe] = found.to_numpy(zero_copy_only=False)
    return same
