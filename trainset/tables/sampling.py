"""What a sample says of the whole: exact bounds for draws without replacement. Pure."""

from __future__ import annotations

from math import exp, lgamma

CONFIDENCE = 0.95


def most_bad(population: int, sample: int, bad: int, *, confidence: float = CONFIDENCE) -> int:
    """How many of the whole may be bad at most, with ``confidence``, after a look at a sample.

    The largest K for which as few as ``bad`` bad ones in the sample are still no surprise, that is,
    come with a probability of 1 - ``confidence`` or more (hypergeometric; for a small share of a
    large whole without a bad one this is the rule of three, 3 / ``sample``).

    Args:
        population: how many there are.
        sample: how many of them were drawn and looked at, each once.
        bad: how many of these were bad.
    """
    low, high = bad, population - (sample - bad)  # ``low`` is always possible
    while low < high:
        middle = (low + high + 1) // 2
        if _chance(population, sample, bad, middle) >= 1 - confidence:
            low = middle
        else:
            high = middle - 1
    return low


def _chance(population: int, sample: int, bad: int, worst: int) -> float:
    """The probability of ``bad`` or fewer in a sample, where ``worst`` of the whole are bad."""
    good = population - worst
    first = max(0, sample - good)
    ways = _log_choose(population, sample)
    return sum(
        exp(_log_choose(worst, hits) + _log_choose(good, sample - hits) - ways)
        for hits in range(first, min(bad, worst) + 1)
    )


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
