"""Canonical JSON is what fingerprints and record ids are made of: its form stays for ever."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainset.identity import canonical_json

NUMBERS = st.one_of(
    st.floats(),
    st.integers(),
    st.floats(-1e-3, 1e-3),
    st.floats(1e14, 1e18),
    st.integers(-7, 20).map(lambda e: float(f"1e{e}")),
)
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet='0123456789.-e+,:[]"\\null\n\x01\x7f é'),
    st.sampled_from(["0.00001", "1e5", "null", "[1e5", "a:1e-7", '":0.00001']),
)
VALUES = st.recursive(
    st.one_of(NUMBERS, TEXTS, st.none(), st.booleans()),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner) | st.tuples(inner, inner),
    max_leaves=12,
)


def _standard(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@settings(max_examples=1000, deadline=None)
@given(VALUES)
def test_canonical_json_is_written_as_the_standard_library_writes_it(value: object) -> None:
    assert canonical_json(value) == _standard(value)


def test_numbers_of_every_size_are_written_as_the_standard_library_writes_them() -> None:
    rng = random.Random(4)
    for exponent in range(-320, 308):
        for _ in range(20):
            x = rng.random() * 10.0**exponent
            for value in (x, -x, round(x, 3), [1, x], {"e": x}, {"e": "9e-0", "n": [-x]}):
                assert canonical_json(value) == _standard(value)


def test_half_a_character_is_refused() -> None:
    for value in ("\ud800", {"a": ["\udfff"]}, {"\ud800": 1}):
        with pytest.raises(UnicodeEncodeError):
            canonical_json(value)
