"""What a ladder found for many references: one medium, several, or none."""

from __future__ import annotations

import numpy as np

from trainset.metadata.align.groups import Groups
from trainset.metadata.align.name_columns import Ints, Mask

Answer = tuple[Ints, Groups, Ints]  # references, and the group of media that each one fits


class Asking:
    """References that a step still looks for; what answers them first is noted."""

    def __init__(self, queries: Ints, rows: Ints, answers: list[Answer] | None = None) -> None:
        self.queries = queries
        self.rows = rows  # where each stands in the columns that are looked at
        self.answers: list[Answer] = [] if answers is None else answers

    def part(self, which: Mask) -> Asking:
        """Some of the references; their answers are noted here."""
        return Asking(self.queries[which], self.rows[which], self.answers)

    def answer(self, groups: Groups, codes: Ints, at: Ints | None = None) -> None:
        """Note the groups found (-1: none), and ask on for the rest.

        Args:
            at: positions in ``rows`` that ``codes`` is for; None: all.
        """
        hit = codes >= 0
        if not hit.any():
            return
        found = np.flatnonzero(hit) if at is None else at[hit]
        self.answers.append((self.queries[found], groups, codes[hit]))
        left = np.ones(len(self.rows), bool)
        left[found] = False
        self.keep(left)

    def unanswered(self, queries: Ints) -> Ints:
        """Those of the queries that no answer is noted for."""
        answered = np.zeros(int(queries.max(initial=-1)) + 1, bool)
        for found, _, _ in self.answers:
            answered[found] = True
        return queries[~answered[queries]]

    def keep(self, left: Mask) -> None:
        """Ask on for these only."""
        self.queries, self.rows = self.queries[left], self.rows[left]


class Found:
    """What was found for Q references.

    Attributes:
        medium: (Q,) position of the one medium, -1: none, or several.
        method: (Q,) index into the methods asked for, -1 likewise.
    """

    def __init__(self, length: int) -> None:
        self.medium = np.full(length, -1, np.int64)
        self.method = np.full(length, -1, np.int64)
        self._kind = np.full(length, -1, np.int64)  # which of ``_groups`` holds several
        self._code = np.full(length, -1, np.int64)
        self._groups: list[Groups] = []

    def open(self, *, also_several: bool) -> Ints:
        """References that have no medium, without or with those that fit several."""
        mine: Ints = np.flatnonzero((self.medium < 0) & (also_several | (self._kind < 0)))
        return mine

    @property
    def several(self) -> Ints:
        """References that fit several media, ascending."""
        return np.flatnonzero((self.medium < 0) & (self._kind >= 0))

    def candidates(self, query: int, limit: int) -> Ints:
        """The first media that one of ``several`` fits, ascending."""
        groups = self._groups[int(self._kind[query])]
        return groups.members(int(self._code[query]), limit)

    def note(self, at: Ints, groups: Groups, codes: Ints, method: int, *, narrows: bool) -> None:
        """Note the groups that one step found for the references ``at``.

        Args:
            narrows: of several media that fit, it singles out one that it finds too; else it goes
                by itself, whatever fitted before.
        """
        kinds = self._kind[at]
        for known in np.flatnonzero(np.bincount(kinds + 1)) - 1:
            those = np.flatnonzero(kinds == known)
            queries, wanted = at[those], codes[those]
            if known >= 0 and narrows:
                before = self._groups[known]
                media = groups.only_within(wanted, before, self._code[queries])
            else:
                media = np.where(groups.counts[wanted] == 1, groups.first[wanted], -1)
            one = media >= 0
            self.medium[queries[one]], self.method[queries[one]] = media[one], method
            if known < 0 and not one.all():
                self._kind[queries[~one]] = len(self._groups)
                self._code[queries[~one]] = wanted[~one]
                self._groups.append(groups)
