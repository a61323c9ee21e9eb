"""Sets of answers that a condition may give: SQL's three, of which reading a file leaves one."""

from __future__ import annotations

from collections.abc import Callable

from trainset.transfer.attributes import Row

TRUE, FALSE, NULL = 1, 2, 4
ANY = TRUE | FALSE | NULL

Condition = Callable[[Row], int]  # a set of answers, as bits; with all facts exactly one


def _sets(answer: Callable[[int, int], int]) -> list[list[int]]:
    """A function of two answers, as a table over sets of answers."""

    def of(left: int, right: int) -> int:
        found = 0
        for a in (TRUE, FALSE, NULL):
            for b in (TRUE, FALSE, NULL):
                if left & a and right & b:
                    found |= answer(a, b)
        return found

    return [[of(left, right) for right in range(8)] for left in range(8)]


_AND = _sets(lambda a, b: FALSE if FALSE in (a, b) else NULL if NULL in (a, b) else TRUE)
_OR = _sets(lambda a, b: TRUE if TRUE in (a, b) else NULL if NULL in (a, b) else FALSE)
_NOT = [(s & NULL) | (TRUE if s & FALSE else 0) | (FALSE if s & TRUE else 0) for s in range(8)]


def both(left: Condition, right: Condition) -> Condition:
    return lambda row: _AND[left(row)][right(row)]


def either(left: Condition, right: Condition) -> Condition:
    return lambda row: _OR[left(row)][right(row)]


def negated(inner: Condition) -> Condition:
    return lambda row: _NOT[inner(row)]
