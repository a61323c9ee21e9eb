"""What a transfer sets for its whole process, and what it leaves to the user."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from trainset.transfer.memory import collect_seldom


@pytest.fixture(autouse=True)
def _threshold() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize(("young", "then"), [(700, 20_000), (50_000, 50_000), (0, 0)])
def test_cycles_are_looked_for_seldom_unless_the_user_says_otherwise(young: int, then: int) -> None:
    gc.set_threshold(young, 7, 9)
    collect_seldom()
    assert gc.get_threshold() == (then, 7, 9)
