"""Bounds from samples are exact: against counting all cases, and the rule of three."""

from __future__ import annotations

from itertools import combinations
from math import comb

import pytest

from trainset.tables.sampling import most_bad


@pytest.mark.parametrize(("population", "sample"), [(1, 1), (8, 3), (8, 8), (12, 5), (9, 1)])
def test_the_bound_is_what_counting_all_samples_gives(population: int, sample: int) -> None:
    for bad in range(sample + 1):
        possible = []
        for worst in range(bad, population - (sample - bad) + 1):
            draws = combinations(range(population), sample)
            few = sum(sum(n < worst for n in draw) <= bad for draw in draws)
            if few / comb(population, sample) >= 0.05:
                possible.append(worst)
        assert most_bad(population, sample, bad) == max(possible)


def test_the_rule_of_three_holds_for_a_small_share() -> None:
    assert most_bad(1_000_000, 300, 0) / 1_000_000 == pytest.approx(3 / 300, rel=0.01)
    assert most_bad(10**9, 10**6, 0) / 10**9 == pytest.approx(3e-6, rel=0.01)


def test_a_look_at_everything_leaves_no_doubt() -> None:
    assert most_bad(500, 500, 0) == 0
    assert most_bad(500, 500, 7) == 7
    assert most_bad(0, 0, 0) == 0


def test_less_confidence_allows_fewer() -> None:
    assert most_bad(10_000, 100, 0, confidence=0.8) < most_bad(10_000, 100, 0)
